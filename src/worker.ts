import { fileURLToPath } from 'node:url';
import { Worker, type NativeConnection, type WorkflowBundleOption } from '@temporalio/worker';
import type { ActivityDependencies } from './activities/dependencies.ts';
import { createActivities } from './activities/create-activities.ts';
import { TASK_QUEUE } from './workflows/messages.ts';

export interface WorkerConfig {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly taskQueue?: string;
  readonly identity?: string;
  /** Built ahead; absent: built when the worker is created. */
  readonly workflowBundle?: WorkflowBundleOption;
}

export interface UpgradeWorker extends AsyncDisposable {
  /** Begins polling; resolves when the worker has stopped, rejects when it failed. */
  start(): Promise<void>;
  /** Stops polling, lets what is under way finish, and resolves when it has stopped. */
  close(): Promise<void>;
}

/** Where the workflows are: the sources beside this file, compiled or not. */
export const WORKFLOWS_PATH = fileURLToPath(
  new URL(`./workflows/index${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** A worker for upgrades. The caller owns the connection. */
export async function createWorker(
  config: WorkerConfig,
  dependencies: ActivityDependencies,
): Promise<UpgradeWorker> {
  const worker = await Worker.create({
    connection: config.connection,
    namespace: config.namespace,
    taskQueue: config.taskQueue ?? TASK_QUEUE,
    ...(config.identity === undefined ? {} : { identity: config.identity }),
    ...(config.workflowBundle === undefined
      ? { workflowsPath: WORKFLOWS_PATH }
      : { workflowBundle: config.workflowBundle }),
    activities: createActivities(dependencies),
    // The default of 0 would cancel every drain under way when a worker is replaced.
    shutdownGraceTime: '30s',
    shutdownForceTime: '60s',
    // A killed worker's tasks wait so long for it before another takes over; an operator's signal waits with them.
    stickyQueueScheduleToStartTimeout: '1s',
    // Cancellations travel with heartbeats: an abort in a long drain is to be seen within a second.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
  });
  let running: Promise<void> | undefined;
  const close = async () => {
    if (running === undefined) return;
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
  };
  return {
    start: () => (running ??= worker.run()),
    close,
    [Symbol.asyncDispose]: close,
  };
}
