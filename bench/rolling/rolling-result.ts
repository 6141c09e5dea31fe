import { setTimeout as delay } from 'node:timers/promises';
import type { LoadProcess } from '../../demo/load/process.ts';
import { p99Of } from '../upgrade/p99.ts';
import type { Restart } from '../upgrade/restarts.ts';

export interface RollingRun {
  readonly folder: string;
  readonly ratePerSecond: number;
  /** How long p99 is measured before, in milliseconds. */
  readonly beforeMs: number;
  readonly onProgress: (sentence: string) => void;
}

export interface RollingResult {
  readonly wallMs: number;
  /** For each batch the slowest stop and start of its servers, as the software recorded them, added up. */
  readonly boundMs: number;
  readonly batches: number;
  readonly sent: number;
  readonly lost: number;
  readonly p99BeforeMs: number;
  readonly p99DuringMs: number;
}

/** A playbook waits for connections, not for transactions of several requests: those it would cut. */
export const QUICK_ONLY = { slow: 0, transaction: 0 } as const;

const WARM_UP_MS = 3_000;

/**
 * Measures `change` under a load that runs already. Without slow requests and transactions a drain takes milliseconds:
 * what cannot be done without is to stop and to start.
 */
export async function measured(
  { load, beforeMs, onProgress }: { load: LoadProcess } & Pick<RollingRun, 'beforeMs' | 'onProgress'>,
  change: () => Promise<{
    readonly batches: readonly (readonly Restart[])[];
    /** Where only a part of it counts, in milliseconds. */
    readonly wallMs?: number;
  }>,
): Promise<RollingResult> {
  await delay(WARM_UP_MS);
  const from = Date.now();
  await delay(beforeMs);
  const start = Date.now();
  onProgress('changing the servers');
  const { batches, wallMs } = await change();
  const end = Date.now();
  const { timeline, sent, lost } = await load.stop();
  return {
    wallMs: wallMs ?? end - start,
    boundMs: batches.reduce((sum, batch) => sum + slowest(batch), 0),
    batches: batches.length,
    sent,
    lost,
    p99BeforeMs: p99Of(timeline, ({ at }) => at >= from && at + 1000 <= start),
    p99DuringMs: p99Of(timeline, ({ at }) => at < end && at + 1000 > start),
  };
}

function slowest(batch: readonly Restart[]): number {
  return Math.max(...batch.map((one) => one.stoppedAt - one.stoppingAt + (one.servingAt - one.spawnedAt)));
}
