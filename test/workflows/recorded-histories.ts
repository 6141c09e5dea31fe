import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { expect } from 'vitest';
import type { UpgradeHandle } from './temporal-bench.ts';

const FOLDER = fileURLToPath(new URL('../histories', import.meta.url));

const LONGEST = 1000;

/** Writes a run's history under the name of the present test, without the names of the machine it ran on. */
export async function recordHistory(handle: UpgradeHandle): Promise<void> {
  const name = (expect.getState().currentTestName ?? 'unnamed').split(' > ').at(-1) ?? 'unnamed';
  const { events } = await handle.fetchHistory();
  // A long history is measured, not kept: it repeats the same few events.
  if (events === null || events === undefined || events.length > LONGEST) return;
  const history = historyToJSON({ events });
  const text = JSON.stringify(JSON.parse(history))
    .replaceAll(process.cwd(), '.')
    .replaceAll(`${process.pid}@${hostname()}`, 'worker@host');
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, `${name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}.json`), `${text}\n`);
}

export interface RecordedHistory {
  readonly workflowId: string;
  readonly history: unknown;
}

export async function recordedHistories(): Promise<readonly RecordedHistory[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.json')).sort();
  return Promise.all(
    files.map(async (file): Promise<RecordedHistory> => ({
      workflowId: file,
      history: JSON.parse(await readFile(join(FOLDER, file), 'utf8')),
    })),
  );
}
