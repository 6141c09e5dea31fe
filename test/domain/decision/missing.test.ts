import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import { stateOfTotals } from '../../../src/domain/decision/rule-reading.ts';
import {
  effectGrid,
  type AnytimeSpec,
  type FixedSampleSpec,
  type MaxEfficacySpec,
  type RuleSpec,
} from '../../../src/domain/decision/rule-spec.ts';
import type { RuleVerdict } from '../../../src/domain/decision/rule-verdict.ts';

const MINUTE = 60_000;
const RATES = { '1.4': 0.1, '2.0-a': 0.12, '2.0-b': 0.1 } as const;
type Units = Partial<Record<keyof typeof RATES, number>>;

const SPEC: AnytimeSpec = {
  rule: 'anytime',
  arms: [
    { version: '1.4', role: 'baseline' },
    { version: '2.0-a', role: 'candidate' },
    { version: '2.0-b', role: 'candidate' },
  ],
  ...{ volume: 'successes', comparison: 'random', unit: 'account', delta: 0.05, epsilon: 0.01 },
  ...{ grid: effectGrid(0.01, 0.1), expectedRate: 0.1 },
};

/** A block of these minutes. */
function block(from: number, to: number, units: Units, tableVersion?: number): Block {
  const arms = Object.entries(units).map(
    ([version, n]) => [version, { n, sum: n * RATES[version as keyof Units] }] as const,
  );
  const groups = { [EVERYONE]: Object.fromEntries(arms) };
  return {
    ...{ fromMs: from * MINUTE, toMs: to * MINUTE, groups },
    ...(tableVersion === undefined ? {} : { tableVersion }),
  };
}

/** The verdict after each block. */
function verdictsOf(blocks: readonly Block[], spec: RuleSpec = SPEC): readonly RuleVerdict[] {
  let state = beginRule(spec);
  return blocks.map((one) => {
    state = observe(spec, state, one);
    return judge(spec, state);
  });
}

const perMinute = (units: Units) => (verdict: RuleVerdict | undefined) => {
  const total = Object.values(units).reduce((sum, n) => sum + n, 0);
  return { ms: expect.closeTo(((verdict?.missing?.units ?? NaN) / total) * MINUTE, 0) as number };
};

describe('what is said to be missing', () => {
  const EVEN: Units = { '1.4': 100, '2.0-a': 100, '2.0-b': 100 };

  test('is nothing in a trial’s first stretch, and goes by the stretches in which units came from then on', () => {
    const first = { '1.4': 900, '2.0-a': 900, '2.0-b': 900 };
    const [one, two] = verdictsOf([block(0, 0.0001, first), block(0.0001, 1.0001, EVEN)]);
    expect(one?.missing).toBeNull();
    expect(one?.sentence).not.toContain('at the present traffic');
    expect(two?.missing).toMatchObject(perMinute(EVEN)(two));
  });

  test('does not leap where the routes change within a stretch', () => {
    const most: Units = { '1.4': 95, '2.0-a': 95, '2.0-b': 95 };
    const rest: Units = { '1.4': 5, '2.0-a': 5, '2.0-b': 5 };
    const verdicts = verdictsOf([
      ...[block(0, 1, EVEN, 3), block(1, 2, EVEN, 3)],
      ...[block(2, 3, most, 3), block(2, 3, rest, 4), block(3, 4, EVEN, 4)],
    ]);
    expect(verdicts.map(({ missing }) => missing !== null)).toEqual([false, true, true, false, true]);
    const [, before, , , after] = verdicts;
    expect(before?.missing).toMatchObject(perMinute(EVEN)(before));
    expect(after?.missing).toMatchObject(perMinute(EVEN)(after));
  });

  test('counts a stretch once in which a gateway began to count anew', () => {
    const half: Units = { '1.4': 50, '2.0-a': 50, '2.0-b': 50 };
    const last = verdictsOf([block(0, 1, EVEN, 3), block(1, 2, half, 3), block(1, 2, half, 3)]).at(-1);
    expect(last?.missing).toMatchObject(perMinute(EVEN)(last));
  });

  test('goes by the traffic of late, where that is enough to go by', () => {
    const busy: Units = { '1.4': 2000, '2.0-a': 2000, '2.0-b': 2000 };
    const quiet: Units = { '1.4': 200, '2.0-a': 200, '2.0-b': 200 };
    const alike = (units: Units, from: number, to: number): Block => {
      const arms = Object.entries(units).map(([version, n]) => [version, { n, sum: n / 10 }] as const);
      return { ...block(from, to, {}), groups: { [EVERYONE]: Object.fromEntries(arms) } };
    };
    const spec = { ...SPEC, epsilon: 0.0001, grid: effectGrid(0.0001, 0.1) };
    const night = Array.from({ length: 40 }, (_, i) => alike(quiet, 20 + i, 21 + i));
    const verdicts = verdictsOf(
      [...Array.from({ length: 20 }, (_, i) => alike(busy, i, i + 1)), ...night],
      spec,
    );
    const { units, ms } = verdicts.at(-1)?.missing ?? {};
    const unitsPerMinute = ((units ?? 0) / (ms ?? 1)) * MINUTE;
    expect(unitsPerMinute).toBeGreaterThan(600);
    expect(unitsPerMinute).toBeLessThan(800);
  });

  test('is nothing where hardly anybody came', () => {
    const few: Units = { '1.4': 100, '2.0-a': 100, '2.0-b': 5 };
    const verdicts = verdictsOf(Array.from({ length: 6 }, (_, i) => block(i, i + 1, few)));
    expect(verdicts.map(({ missing }) => missing !== null)).toEqual([false, false, false, false, true, true]);
  });

  test.each([
    [0.95, 0.025, 0.025],
    [0.75, 0.125, 0.125],
    [0.34, 0.33, 0.33],
  ])('is about what it takes at the shares as they are: %d, %d and %d', (control, a, b) => {
    const each = 2000;
    const units: Units = { '1.4': each * control, '2.0-a': each * a, '2.0-b': each * b };
    const verdicts = verdictsOf(Array.from({ length: 100 }, (_, i) => block(i, i + 1, units)));
    const decided = verdicts.findIndex(({ kind }) => kind === 'winner');
    expect(decided).toBeGreaterThan(2);
    for (const [i, { missing }] of verdicts.slice(1, decided - 1).entries()) {
      const really = (decided - i - 1) * each;
      expect(Math.abs((missing?.units ?? 0) - really)).toBeLessThan(Math.max(2 * each, 0.5 * really));
    }
  });

  test('of a planned sample is what the version lacks that comes most slowly', () => {
    const spec: FixedSampleSpec = { ...SPEC, rule: 'fixed-sample', unitsPerArm: 1000 };
    const units: Units = { '1.4': 800, '2.0-a': 100, '2.0-b': 100 };
    const last = verdictsOf([block(0, 1, units), block(1, 2, units)], spec).at(-1);
    expect(last?.missing).toEqual({
      units: expect.closeTo(8000) as number,
      ms: expect.closeTo(8 * MINUTE) as number,
    });
  });

  test('of samples by totals has no time: they do not say how fast units come now', () => {
    const spec: MaxEfficacySpec = { ...SPEC, rule: 'max-efficacy', minSamples: 400 };
    const totals = [
      { version: '1.4', role: 'baseline', allocated: 1000, volume: 100 },
      { version: '2.0-a', role: 'candidate', allocated: 300, volume: 30 },
      { version: '2.0-b', role: 'candidate', allocated: 100, volume: 10 },
    ] as const;
    const { missing, sentence } = judge(spec, stateOfTotals(spec, totals, MINUTE));
    expect(missing).toEqual({ units: expect.closeTo(1200) as number, ms: null });
    expect(sentence).toContain('about 1,200 accounts more are needed.');
  });
});
