import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Fleet } from '../../../demo/fleet/fleet.ts';

const recordSchema = z.object({
  event: z.enum(['start', 'stop', 'exit']),
  server: z.string(),
  version: z.string(),
  pid: z.int(),
  at: z.iso.datetime().transform((text) => Date.parse(text)),
  inFlight: z.int(),
  openTransactions: z.int(),
});
/** What a business process wrote down of itself; `at` in epoch milliseconds. */
export type BusinessRecord = z.output<typeof recordSchema>;

/** Server → what its processes wrote down, in order. */
export type BusinessRecords = ReadonlyMap<string, readonly BusinessRecord[]>;

export async function readRecords(fleet: Fleet): Promise<BusinessRecords> {
  const all = await Promise.all(
    fleet.servers.map(async ({ name, recordFile }) => {
      const lines = (await readFile(recordFile, 'utf8')).trimEnd().split('\n');
      return [name, lines.map((line) => recordSchema.parse(JSON.parse(line)))] as const;
    }),
  );
  return new Map(all);
}
