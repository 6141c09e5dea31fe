/** Each bucket is 2 % wider than the one before: what a percentile says is at most 2 % too high. */
const GROWTH = Math.log(1.02);
const SMALLEST_MS = 0.05;

/** Bucket and count, only of buckets that hold something. */
export type LatencyBuckets = readonly (readonly [bucket: number, count: number])[];

/** Latencies in milliseconds, in little space; histograms of several windows or processes add up. */
export interface LatencyHistogram {
  record(ms: number): void;
  add(buckets: LatencyBuckets): void;
  /** Upper bound of the bucket in which the quantile (0..1) lies, in milliseconds; null where nothing was recorded. */
  quantile(q: number): number | null;
  buckets(): LatencyBuckets;
}

export function createLatencyHistogram(): LatencyHistogram {
  const counts = new Map<number, number>();
  let total = 0;

  function count(bucket: number, times: number): void {
    counts.set(bucket, (counts.get(bucket) ?? 0) + times);
    total += times;
  }
  const buckets = (): [number, number][] => [...counts].sort(([a], [b]) => a - b);

  return {
    buckets,
    record: (ms) => {
      count(ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log(ms / SMALLEST_MS) / GROWTH), 1);
    },
    add: (more) => {
      for (const [bucket, times] of more) count(bucket, times);
    },
    quantile: (q) => {
      const rank = Math.ceil(q * total);
      let seen = 0;
      for (const [bucket, times] of buckets()) {
        seen += times;
        if (seen >= rank) return Math.round(SMALLEST_MS * Math.exp(bucket * GROWTH) * 1000) / 1000;
      }
      return null;
    },
  };
}
