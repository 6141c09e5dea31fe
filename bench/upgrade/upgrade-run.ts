import { setTimeout as delay } from 'node:timers/promises';
import { createFleet, type Fleet } from '../../demo/fleet/fleet.ts';
import { FLOATING_SECOND, STATIC_HOME } from '../../demo/packages.ts';
import { spawnLoad } from '../../demo/load/process.ts';
import type { LoadSummary } from '../../demo/load/summary.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { changesOf, type Span } from './batches.ts';
import { watchDrains } from './busy-watch.ts';
import { historySteps } from './history-steps.ts';
import { ownProcessor } from './own-processor.ts';
import { slowestOf, type ServerBound } from './lower-bound.ts';
import { p99Of } from './p99.ts';
import { restartsOf } from './restarts.ts';

export interface RunConfig {
  readonly ratePerSecond: number;
  /** How long p99 is measured before the upgrade, in milliseconds. */
  readonly beforeMs: number;
  /** What the new versions take by themselves from the start of their process until they serve, in milliseconds. */
  readonly startDelayMs: number;
  /** Servers changed at once in the promotion. */
  readonly promotionBatch: number;
  /** Whether what carries the requests goes first on the processor, where the system allows it. */
  readonly ownProcessor: boolean;
  readonly onProgress: (sentence: string) => void;
}

export interface BatchResult {
  readonly servers: readonly string[];
  readonly wallMs: number;
  readonly slowest: ServerBound;
  /** Where the time of the batch went: step → milliseconds from scheduled to completed. */
  readonly steps: readonly { readonly activity: string; readonly ms: number }[];
}

export interface RunResult {
  /** What carried the requests went first on the processor; otherwise latencies also show who shared it. */
  readonly ownProcessor: boolean;
  readonly batches: readonly BatchResult[];
  readonly wallMs: number;
  readonly boundMs: number;
  /** Wall time over the lower bound. */
  readonly ratio: number;
  readonly p99BeforeMs: number;
  readonly p99DuringMs: number;
  readonly p99Ratio: number;
  readonly sent: number;
  readonly lost: number;
  readonly transactionsCut: number;
  readonly transactions: number;
}

/** 10 servers: the baseline's six serve while two candidates of two servers each are upgraded. */
const CLUSTERS = { main: 6, blue: 2, green: 2 };
/** Connections and compiled code settle before anything is measured. */
const WARM_UP_MS = 4_000;

/** One upgrade of ten servers by real processes under load, promoted to the end. */
export async function measureUpgrade(config: RunConfig): Promise<RunResult> {
  const { startDelayMs } = config;
  await using fleet = await createFleet({
    clusters: CLUSTERS,
    candidates: [STATIC_HOME, FLOATING_SECOND].map((release) => ({ ...release, startDelayMs })),
    logLevel: 'warn',
  });
  const plan = planOf(fleet, config);
  await fleet.adopt(plan);
  await using load = await spawnLoad({ url: fleet.gateway.url, ratePerSecond: config.ratePerSecond });
  await using processor = config.ownProcessor ? await ownProcessor(fleet, load.pid) : undefined;
  await delay(WARM_UP_MS);
  config.onProgress('measuring before the upgrade');
  const from = Date.now();
  await delay(config.beforeMs);
  const before = { from, until: Date.now() };
  config.onProgress('upgrading');
  await using watch = watchDrains(fleet);
  await fleet.start(plan);
  const { handle } = fleet;
  await handle.result();
  const summary = await load.stop();
  const { batches, spans } = changesOf(await historySteps(handle));
  const restarts = (
    await Promise.all(fleet.servers.map(({ name, recordFile }) => restartsOf(name, recordFile)))
  ).flat();
  return resultOf({
    summary,
    ownProcessor: processor?.granted ?? false,
    before,
    spans,
    batches: batches.map((batch) => ({
      servers: batch.servers,
      wallMs: batch.until - batch.from,
      slowest: slowestOf(batch, { drains: watch.drains, restarts }),
      steps: batch.steps.map(({ activity, scheduledAt, completedAt }) => ({
        activity,
        ms: completedAt - scheduledAt,
      })),
    })),
  });
}

/** The demo's plan; the trial as short as a decision allows, for its length is not what is measured. */
function planOf(fleet: Fleet, { promotionBatch }: RunConfig): PlanInput {
  const base = fleet.plan();
  return {
    ...base,
    trial: { stages: [{ share: '100%', length: '4s' }], readEvery: '1s', minSamples: 40 },
    decision: { rule: 'max-efficacy' },
    approval: 'automatic',
    promotion: { batch: promotionBatch },
  };
}

function resultOf(run: {
  summary: LoadSummary;
  ownProcessor: boolean;
  before: Span;
  spans: readonly Span[];
  batches: readonly BatchResult[];
}): RunResult {
  const { summary, before, spans, batches, ownProcessor } = run;
  const wallMs = sum(spans.map((span) => span.until - span.from));
  const boundMs = sum(batches.map(({ slowest }) => slowest.totalMs));
  const p99BeforeMs = p99Of(
    summary.timeline,
    ({ at }) => at >= before.from && at + SECOND_MS <= before.until,
  );
  // Also the seconds that lie in a span only in part: nothing of what a change does to clients escapes.
  const p99DuringMs = p99Of(summary.timeline, ({ at }) =>
    spans.some((span) => at < span.until && at + SECOND_MS > span.from),
  );
  return {
    ownProcessor,
    batches,
    wallMs,
    boundMs,
    ratio: wallMs / boundMs,
    p99BeforeMs,
    p99DuringMs,
    p99Ratio: p99DuringMs / p99BeforeMs,
    sent: summary.sent,
    lost: summary.lost,
    transactions: summary.transactions.started,
    transactionsCut: summary.transactions.cut,
  };
}

const SECOND_MS = 1000;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
