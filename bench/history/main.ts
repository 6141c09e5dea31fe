import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, Runtime } from '@temporalio/worker';
import Table from 'cli-table3';
import { startDevServer } from '../../src/dev-server/dev-server.ts';
import { planSchema } from '../../src/domain/plan/schema.ts';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import { connectTemporal, connectWorker, type TemporalClient } from '../../src/temporal.ts';
import { createWorker, WORKFLOWS_PATH } from '../../src/worker.ts';
import type { upgradeWorkflow } from '../../src/workflows/index.ts';
import { InMemoryWorld } from '../../test/support/in-memory-world.ts';
import { historyPlan, type Size } from './plan.ts';

/** Most events that one run of the chain may have. */
const LIMIT = 5000;

const SIZES: readonly Size[] = [
  ...[10, 100, 500].flatMap((servers) =>
    [10, 100, 1000].map((readings) => ({ servers, readings, oneByOne: false })),
  ),
  { servers: 500, readings: 10, oneByOne: true },
];

/** Events and bytes of each run in the chain of an upgrade, by its first run. */
interface ChainLink {
  readonly events: number;
  readonly bytes: number;
}

async function main(): Promise<void> {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'changeover-history-'));
  const server = await startDevServer({ logFile: join(folder, 'temporal.log') });
  const env = { TEMPORAL_ADDRESS: server.address };
  const temporal = await connectTemporal(env);
  const { connection } = await connectWorker(env);
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    logger: new DefaultLogger('ERROR'),
  });
  const table = new Table({
    head: [
      'servers',
      'readings',
      'changed',
      'runs',
      'events in each run',
      'most',
      'bytes, largest run',
      'seconds',
    ],
    style: { head: [], border: [] },
  });
  let most = 0;
  try {
    for (const [index, size] of SIZES.entries()) {
      const plan = historyPlan(size);
      const taskQueue = `history-${index}`;
      const world = new InMemoryWorld(planSchema.parse(plan));
      const worker = await createWorker(
        { connection, namespace: 'default', taskQueue, workflowBundle },
        world.dependencies(),
      );
      const running = worker.start();
      const began = Date.now();
      const workflowId = `history-${index}`;
      const handle = await temporal.client.workflow.start<typeof upgradeWorkflow>('upgradeWorkflow', {
        workflowId,
        taskQueue,
        args: [plan],
      });
      const report = await handle.result();
      const chain = await chainOf(temporal, workflowId, handle.firstExecutionRunId);
      await worker.close();
      await running;
      const readings = readingsOf(report, size);
      const largest = Math.max(...chain.map(({ events }) => events));
      most = Math.max(most, largest);
      table.push([
        size.servers,
        readings,
        size.oneByOne ? 'one by one' : 'in batches',
        chain.length,
        chain.map(({ events }) => events).join(' + '),
        largest,
        Math.max(...chain.map(({ bytes }) => bytes)),
        ((Date.now() - began) / 1000).toFixed(1),
      ]);
    }
  } finally {
    await connection.close();
    await temporal.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${table.toString()}\n`);
  process.stdout.write(
    `Most events in one run: ${most}; the limit is ${LIMIT}: ${most < LIMIT ? 'kept' : 'BROKEN'}\n`,
  );
  process.exitCode = most < LIMIT ? 0 : 1;
}

/** Readings that were taken; a run that did not end promoted would have measured something else. */
function readingsOf({ outcome, decision }: UpgradeReport, size: Size): number {
  if (outcome !== 'promoted') throw new Error(`${JSON.stringify(size)} ended ${outcome}`);
  if (decision.efficacy.readings < size.readings)
    throw new Error(`only ${decision.efficacy.readings} readings`);
  return decision.efficacy.readings;
}

async function chainOf(
  temporal: TemporalClient,
  workflowId: string,
  first: string,
): Promise<readonly ChainLink[]> {
  const chain: ChainLink[] = [];
  for (let runId: string | undefined = first; runId !== undefined;) {
    const handle: WorkflowHandle = temporal.client.workflow.getHandle(workflowId, runId);
    const { historyLength, historySize } = await handle.describe();
    chain.push({ events: historyLength, bytes: historySize ?? 0 });
    const last = (await handle.fetchHistory()).events?.at(-1);
    runId = last?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
  }
  return chain;
}

await main();
