import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { startDevServer } from '../../src/dev-server/dev-server.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { planSchema } from '../../src/domain/plan/schema.ts';
import { connectTemporal, connectWorker, type TemporalClient } from '../../src/temporal.ts';
import { createWorker, WORKFLOWS_PATH } from '../../src/worker.ts';
import { statusQuery } from '../../src/workflows/messages.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import type { upgradeWorkflow } from '../../src/workflows/index.ts';
import { recordHistory } from './recorded-histories.ts';
import { InMemoryWorld } from '../support/in-memory-world.ts';

export type UpgradeHandle = WorkflowHandleWithFirstExecutionRunId<typeof upgradeWorkflow>;

/** Set by `npm run histories`. */
const RECORD = process.env.CHANGEOVER_RECORD_HISTORIES === '1';

let count = 0;

/** A real Temporal server with what is needed to run upgrades of in-memory worlds on it. */
export interface TemporalBench extends AsyncDisposable {
  readonly temporal: TemporalClient;
  readonly bundle: WorkflowBundleWithSourceMap;
  /** Starts an upgrade of a world of its own, with a worker of its own. */
  upgrade(plan: PlanInput, change?: (world: InMemoryWorld) => void): Promise<RunningUpgrade>;
}

export interface RunningUpgrade extends AsyncDisposable {
  readonly handle: UpgradeHandle;
  readonly world: InMemoryWorld;
  /** Waits until the run's status satisfies the condition, and returns it. */
  until(condition: (status: UpgradeStatus) => boolean): Promise<UpgradeStatus>;
}

export async function startTemporalBench(): Promise<TemporalBench> {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'changeover-temporal-'));
  const server = await startDevServer({ logFile: join(folder, 'temporal.log') });
  const env = { TEMPORAL_ADDRESS: server.address };
  const temporal = await connectTemporal(env);
  const { connection } = await connectWorker(env);
  const bundle = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    logger: new DefaultLogger('ERROR'),
  });

  return {
    temporal,
    bundle,
    async upgrade(input, change) {
      const world = new InMemoryWorld(planSchema.parse(input));
      change?.(world);
      count += 1;
      const taskQueue = `test-${count}`;
      const worker = await createWorker(
        { connection, namespace: 'default', taskQueue, workflowBundle: bundle },
        world.dependencies(),
      );
      const running = worker.start();
      const handle: UpgradeHandle = await temporal.client.workflow.start('upgradeWorkflow', {
        workflowId: `upgrade-test-${count}`,
        taskQueue,
        args: [input],
      });
      return {
        handle,
        world,
        until: (condition) => until(handle, condition),
        async [Symbol.asyncDispose]() {
          if (RECORD) await recordHistory(handle);
          await handle.terminate().catch(() => undefined);
          await worker.close();
          await running;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
      await temporal.close();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Polls the query until the condition holds; the test's own time-out bounds it. */
async function until(
  handle: UpgradeHandle,
  condition: (status: UpgradeStatus) => boolean,
): Promise<UpgradeStatus> {
  for (;;) {
    const status = await handle.query(statusQuery).catch(() => undefined);
    if (status !== undefined && condition(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
