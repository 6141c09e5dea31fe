import { describe, expect, test } from 'vitest';
import { assertBlock, type ArmCounts } from '../../../src/domain/decision/block.ts';
import { sourceBlock, type MetricsReading } from '../../../src/domain/decision/source-block.ts';

const SINCE = '2026-01-31T10:00:00.000Z';
const reading = (minutes: number, arms: Record<string, ArmCounts>): MetricsReading => ({
  at: new Date(Date.parse(SINCE) + minutes * 60_000).toISOString(),
  arms,
  notes: [],
});
const between = (before: MetricsReading, after: MetricsReading) =>
  sourceBlock(before, after, { since: SINCE, shares: { old: 0.5, young: 0.5 }, tableVersion: 7 });

describe('the block between two readings of a metrics source', () => {
  test('is the difference of what was counted since the trial began', () => {
    const stretch = between(
      reading(1, { old: { n: 10, sum: 1 }, young: { n: 12, sum: 3, squares: 2, uncapped: 900 } }),
      reading(3, { old: { n: 30, sum: 4 }, young: { n: 12, sum: 3, squares: 2, uncapped: 800 } }),
    );
    expect(stretch).toEqual({
      kind: 'block',
      block: {
        fromMs: 60_000,
        toMs: 180_000,
        tableVersion: 7,
        shares: { old: 0.5, young: 0.5 },
        groups: {
          all: { old: { n: 20, sum: 3 }, young: { n: 0, sum: 0, squares: 0, uncapped: -100 } },
        },
      },
    });
    if (stretch.kind === 'block') expect(() => assertBlock(stretch.block)).not.toThrow();
  });

  test.each<[string, ArmCounts, ArmCounts, RegExp]>([
    ['units', { n: 10, sum: 1 }, { n: 9, sum: 1 }, /units of version old went from 10 to 9/],
    ['outcomes', { n: 10, sum: 3 }, { n: 20, sum: 2 }, /outcomes of version old went from 3 to 2/],
    [
      'squares',
      { n: 9, sum: 3, squares: 3 },
      { n: 9, sum: 3, squares: 1 },
      /squares .* of version old went from 3 to 1/,
    ],
    [
      'units that are no number',
      { n: 1, sum: 0 },
      { n: NaN, sum: 0 },
      /units of version old went from 1 to NaN/,
    ],
  ])('falling %s are named', (_what, before, after, message) => {
    expect(() => between(reading(1, { old: before }), reading(2, { old: after }))).toThrow(
      expect.objectContaining({
        code: 'MetricsUnusable',
        message: expect.stringMatching(message) as unknown,
      }),
    );
  });

  test('a version that came or went, and time that goes back, are named', () => {
    const [one, both] = [{ old: { n: 1, sum: 0 } }, { old: { n: 1, sum: 0 }, young: { n: 0, sum: 0 } }];
    expect(() => between(reading(1, one), reading(2, both))).toThrow(/version young is in one of two/);
    expect(() => between(reading(1, both), reading(2, one))).toThrow(/version young is in one of two/);
    expect(() => between(reading(2, one), reading(1, one))).toThrow(/must go on in time/);
  });

  test('outcomes that came later than their units are waited for, not refused', () => {
    const [first, late, later] = [
      reading(1, { old: { n: 10, sum: 1 } }),
      reading(2, { old: { n: 11, sum: 3 } }),
      reading(3, { old: { n: 20, sum: 4 } }),
    ];
    expect(between(first, late)).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/came later/) as unknown,
    });
    expect(between(first, later)).toMatchObject({
      kind: 'block',
      block: { groups: { all: { old: { n: 10, sum: 3 } } } },
    });
    expect(between(first, first)).toMatchObject({ kind: 'wait' });
  });

  test('squares that the outcomes cannot have are waited for, and are no block', () => {
    const counts = { n: 10, sum: 5, squares: 2.4 };
    const before = reading(1, { old: { n: 0, sum: 0, squares: 0 } });
    expect(between(before, reading(2, { old: counts }))).toMatchObject({
      kind: 'wait',
      reason: expect.stringMatching(/version old must have squares of at least 2\.49/) as unknown,
    });
    const block = { fromMs: 0, toMs: 1, groups: { all: { old: counts } } };
    expect(() => assertBlock(block)).toThrow(/counts of old must have squares of at least 2\.49.* held 2\.4/);
    expect(() =>
      assertBlock({ ...block, groups: { all: { old: { ...counts, squares: 2.5 } } } }),
    ).not.toThrow();
  });
});
