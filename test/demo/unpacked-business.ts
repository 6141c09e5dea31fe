import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from 'tar';
import { z } from 'zod';
import { createBusinessProcess, type BusinessProcess } from '../../demo/business-process.ts';
import { buildPackage, type BusinessRelease } from '../../demo/packages.ts';

const recordSchema = z.object({
  event: z.enum(['start', 'stop', 'exit']),
  server: z.string(),
  version: z.string(),
  inFlight: z.number(),
  openTransactions: z.number(),
});

/** A temporary folder in which packages are built, unpacked and run; what runs ends with it. */
export interface BusinessBench extends AsyncDisposable {
  readonly folder: string;
  /** Packs, unpacks and prepares one server; its record is `records(name)`. */
  prepare(release: BusinessRelease, name: string): Promise<BusinessProcess>;
  records(name: string): Promise<z.infer<typeof recordSchema>[]>;
}

export async function createBusinessBench(): Promise<BusinessBench> {
  const folder = await mkdtemp(join(tmpdir(), 'wealth-test-'));
  const prepared: BusinessProcess[] = [];
  return {
    folder,
    prepare: async (release, name) => {
      const pack = await buildPackage({ ...release, outDir: join(folder, 'packages') });
      const unpacked = join(folder, name);
      await mkdir(unpacked);
      await extract({ file: join(pack.path, pack.fileName), cwd: unpacked });
      const server = createBusinessProcess({
        folder: unpacked,
        name,
        recordFile: join(folder, `${name}.jsonl`),
      });
      prepared.push(server);
      return server;
    },
    records: async (name) => {
      const text = await readFile(join(folder, `${name}.jsonl`), 'utf8');
      return text
        .trim()
        .split('\n')
        .map((line) => recordSchema.parse(JSON.parse(line)));
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(prepared.map((server) => server.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
