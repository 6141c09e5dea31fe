import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** One change of a server's software, as the software itself recorded it. Epoch milliseconds. */
export interface Restart {
  readonly server: string;
  readonly stoppingAt: number;
  readonly stoppedAt: number;
  readonly spawnedAt: number;
  /** From here on it listens, and says that it is healthy. */
  readonly servingAt: number;
}

const lineSchema = z.object({
  event: z.enum(['start', 'stop', 'exit']),
  pid: z.int().positive(),
  version: z.string(),
  at: z.string().transform((text) => Date.parse(text)),
  processStartedAt: z.string().transform((text) => Date.parse(text)),
});
type Line = z.output<typeof lineSchema>;

/** The lines that the business appends at each start, stop and exit. */
export function parseBusinessLines(text: string): readonly Line[] {
  return text
    .trim()
    .split('\n')
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

export async function restartsOf(server: string, recordFile: string): Promise<readonly Restart[]> {
  const lines = parseBusinessLines(await readFile(recordFile, 'utf8'));
  return lines.flatMap((stop, index): Restart[] => {
    const [exit, start] = lines.slice(index + 1);
    if (stop.event !== 'stop' || exit?.event !== 'exit' || start?.event !== 'start') return [];
    return [
      {
        server,
        stoppingAt: stop.at,
        stoppedAt: exit.at,
        spawnedAt: start.processStartedAt,
        servingAt: start.at,
      },
    ];
  });
}
