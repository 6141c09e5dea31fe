import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLatencyHistogram } from '../../demo/load/latency-histogram.ts';

const latencies = fc.array(fc.double({ min: 0.06, max: 60_000, noNaN: true }), {
  minLength: 1,
  maxLength: 300,
});

describe('the latency histogram', () => {
  it('is at most 2 % above the true quantile', () => {
    fc.assert(
      fc.property(latencies, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, quantile) => {
        const histogram = createLatencyHistogram();
        for (const value of values) histogram.record(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.ceil(quantile * sorted.length) - 1] ?? 0;
        const said = histogram.quantile(quantile) ?? 0;
        // It rounds to a microsecond.
        expect(said).toBeGreaterThanOrEqual(exact - 0.001);
        expect(said).toBeLessThanOrEqual(exact * 1.02 + 0.001);
      }),
    );
  });

  it('adds up: two windows together say what one over both would', () => {
    fc.assert(
      fc.property(latencies, latencies, (first, second) => {
        const [a, b, both] = [createLatencyHistogram(), createLatencyHistogram(), createLatencyHistogram()];
        for (const value of first) a.record(value);
        for (const value of second) b.record(value);
        for (const value of [...first, ...second]) both.record(value);
        a.add(b.buckets());
        expect(a.buckets()).toEqual(both.buckets());
      }),
    );
  });

  it('says null where nothing was recorded: no data is not 0', () => {
    expect(createLatencyHistogram().quantile(0.99)).toBeNull();
  });
});
