import type { ArmCounts } from '../domain/decision/block.ts';
import { grownSince } from '../domain/decision/source-block.ts';
import { isAllotted, isMoved } from '../domain/policy/allotment.ts';
import type { ReadingResult } from '../domain/upgrade/results.ts';
import type { TrafficAnswer } from '../protocol/controller.ts';
import type { CollectMetricsInput } from './collect-metrics.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readSource } from './source-reading.ts';

/** The greatest efficacy goes by totals: of the gateways, or of the plan's source since the trial began. */
export async function totalsFor(
  { metrics }: Pick<ActivityDependencies, 'metrics'>,
  input: CollectMetricsInput,
  read: { readonly traffic: TrafficAnswer; readonly isPull: boolean; readonly signal: AbortSignal },
): Promise<ReadingResult['totals']> {
  const { traffic, isPull, signal } = read;
  const { source, spec, base, since } = input;
  const counted = totalsOf(traffic, input);
  if (source.from === 'gateways' || spec.rule !== 'max-efficacy') return counted;
  const totals: Record<string, ReadingResult['totals'][string]> = {};
  for (const [version, { moved }] of Object.entries(counted)) {
    totals[version] = { allocated: 0, volume: 0, ...(moved === undefined ? {} : { moved }) };
  }
  if (base === null) return totals;
  const span = { since, until: new Date().toISOString() };
  const { arms } = await readSource(metrics, input, span, signal).catch((error: unknown) => {
    // That a candidate was pulled is told whatever the source says.
    if (isPull) return { arms: {} };
    throw error;
  });
  for (const [version, counts] of Object.entries(arms)) {
    const { n, sum, squares = sum, uncapped } = counts;
    if (!isPull) assertGrown(input, version, counts);
    totals[version] = {
      ...totals[version],
      allocated: n,
      volume: uncapped ?? sum * (spec.cap ?? 1),
      ...(spec.comparesCapped === true ? { capped: { sum, squares } } : {}),
    };
  }
  return totals;
}

/** @throws ChangeoverError `MetricsUnusable` where a source has counted less than before */
function assertGrown({ last, spec }: CollectMetricsInput, version: string, now: ArmCounts): void {
  const before = last?.find((arm) => arm.version === version);
  if (before === undefined) return;
  const sum = before.capped?.sum ?? (now.uncapped === undefined ? before.volume / (spec.cap ?? 1) : 0);
  grownSince(version, { n: before.allocated, sum }, { n: now.n, sum: now.sum });
}

function totalsOf(
  traffic: TrafficAnswer,
  { versions, spec }: Pick<CollectMetricsInput, 'versions' | 'spec'>,
): ReadingResult['totals'] {
  const totals: Record<string, { allocated: number; volume: number; moved?: number }> = {};
  for (const { version } of versions) totals[version] = { allocated: 0, volume: 0 };
  for (const row of traffic.counts) {
    const total = totals[row.release];
    if (total === undefined) continue;
    if (isMoved(row.bucket) && row.allocated > 0) total.moved = (total.moved ?? 0) + row.allocated;
    if (!isAllotted(row.bucket)) continue;
    total.allocated += row.allocated;
    total.volume += spec.volume === 'amount' ? row.volumeAmount : row.volumeCount;
  }
  return totals;
}
