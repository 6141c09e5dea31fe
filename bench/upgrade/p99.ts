import { createLatencyHistogram } from '../../demo/load/latency-histogram.ts';
import type { TimelineSecond } from '../../demo/load/summary.ts';

/** The 99th percentile of the seconds meant, in milliseconds; of everything but the requests that are slow by intent. */
export function p99Of(
  timeline: readonly TimelineSecond[],
  isMeant: (second: TimelineSecond) => boolean,
): number {
  const all = createLatencyHistogram();
  for (const second of timeline) if (isMeant(second)) all.add(second.latency);
  return all.quantile(0.99) ?? Number.NaN;
}
