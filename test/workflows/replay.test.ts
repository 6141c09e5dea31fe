import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { WORKFLOWS_PATH } from '../../src/worker.ts';
import { recordedHistories } from './recorded-histories.ts';

/** A change of the workflow that breaks runs under way fails here; it needs `patched()`. `npm run histories` records anew. */
test('every recorded history replays with the workflow as it is now', async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const recorded = await recordedHistories();
  expect(recorded.length).toBeGreaterThan(10);
  const failures: string[] = [];
  for await (const { workflowId, error } of Worker.runReplayHistories(
    { workflowsPath: WORKFLOWS_PATH },
    recorded,
  )) {
    if (error !== undefined) failures.push(`${workflowId}: ${error.message}`);
  }
  expect(failures).toEqual([]);
});
