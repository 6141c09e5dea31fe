import { createLatencyHistogram, type LatencyHistogram } from './latency-histogram.ts';
import type { LoadTotals, TimelineSecond } from './summary.ts';

interface Second {
  readonly at: number;
  sent: number;
  answered: number;
  lost: number;
  readonly byVersion: Map<string, number>;
  readonly latency: LatencyHistogram;
}

/** The run, second by second of the wall clock. */
export interface Timeline {
  sending(): void;
  /** `latencyMs` null: not measured. */
  done(end: {
    readonly lost: boolean;
    readonly version: string | null;
    readonly latencyMs: number | null;
  }): void;
  /** The last second that is over. */
  lastSecond(): LoadTotals['lastSecond'];
  seconds(): TimelineSecond[];
}

const SECOND_MS = 1000;

export function createTimeline(): Timeline {
  const seconds: Second[] = [];

  /** Seconds in which nothing happened have their place as well: a gap is to be seen. */
  function now(): Second {
    const at = Math.floor(Date.now() / SECOND_MS) * SECOND_MS;
    for (;;) {
      const last = seconds.at(-1);
      if (last !== undefined && last.at >= at) return last;
      seconds.push({
        at: last === undefined ? at : last.at + SECOND_MS,
        sent: 0,
        answered: 0,
        lost: 0,
        byVersion: new Map(),
        latency: createLatencyHistogram(),
      });
    }
  }

  return {
    sending: () => {
      now().sent += 1;
    },
    done: ({ lost, version, latencyMs }) => {
      const second = now();
      if (lost) second.lost += 1;
      else second.answered += 1;
      if (version !== null) second.byVersion.set(version, (second.byVersion.get(version) ?? 0) + 1);
      if (latencyMs !== null) second.latency.record(latencyMs);
    },
    lastSecond: () => {
      now();
      const last = seconds.at(-2);
      if (last === undefined) return { sent: 0, answered: 0, lost: 0, p50Ms: null, p99Ms: null };
      const { sent, answered, lost, latency } = last;
      return { sent, answered, lost, p50Ms: latency.quantile(0.5), p99Ms: latency.quantile(0.99) };
    },
    seconds: () =>
      seconds.map(({ byVersion, latency, ...second }) => ({
        ...second,
        byVersion: Object.fromEntries(byVersion),
        latency: latency.buckets(),
      })),
  };
}

/**
 * Latency quantile (0..1) over the seconds of a timeline that lie within `[from, until)` (epoch milliseconds), in
 * milliseconds; null where nothing was measured.
 */
export function latencyWithin(
  timeline: readonly TimelineSecond[],
  { from = -Infinity, until = Infinity, quantile }: { from?: number; until?: number; quantile: number },
): number | null {
  const all = createLatencyHistogram();
  for (const second of timeline) {
    if (second.at >= from && second.at + SECOND_MS <= until) all.add(second.latency);
  }
  return all.quantile(quantile);
}
