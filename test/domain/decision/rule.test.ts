import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import { effectGrid, type AnytimeSpec } from '../../../src/domain/decision/rule-spec.ts';
import type { RuleState } from '../../../src/domain/decision/rule-state.ts';
import { shownAgainst } from '../../../src/domain/decision/rules/anytime.ts';
import { evidenceIn } from '../../../src/domain/decision/rules/pair-evidence.ts';
import { referenceValues } from './reference-values.ts';

const { replay } = referenceValues();

const SPEC: AnytimeSpec = {
  rule: 'anytime',
  arms: ['0', '1', '2'].map((version) => ({ version, role: 'candidate' })),
  volume: 'successes',
  comparison: 'random',
  unit: 'request',
  delta: replay.delta,
  epsilon: replay.eps,
  grid: replay.grid.map((effect) => ({ effect, weight: 1 / replay.grid.length })),
};

const BLOCKS: readonly Block[] = replay.blocks.map((arms, i) => ({
  fromMs: i * 60_000,
  toMs: (i + 1) * 60_000,
  groups: { [EVERYONE]: Object.fromEntries(arms.map(([n, sum], arm) => [String(arm), { n, sum }])) },
}));

function through(
  blocks: readonly Block[],
  from: RuleState = beginRule(SPEC),
  spec: AnytimeSpec = SPEC,
): RuleState {
  return blocks.reduce((state, block) => observe(spec, state, block), from);
}

describe('the stored blocks', () => {
  test('lead to the stored evidence, block by block, and to the stored decision', () => {
    let state = beginRule(SPEC);
    for (const { look, event, ...expected } of replay.log) {
      state = observe(SPEC, state, BLOCKS[look]!);
      const evidence = evidenceIn(SPEC, state);
      expect(evidence('2', '0', 0)).toBeCloseTo(expected.lnE0_20, 10);
      expect(evidence('2', '1', 0)).toBeCloseTo(expected.lnE0_21, 10);
      expect(evidence('2', '1', -replay.eps)).toBeCloseTo(expected.lnEe_21, 10);
      expect(Object.keys(state.dropped)).toEqual(event === null ? [] : ['0']);
      expect(judge(SPEC, state)).toMatchObject(
        event === null ? { kind: 'collecting' } : { kind: 'winner', winner: '2' },
      );
    }
  });

  test.each(BLOCKS.map((_, i) => i))(
    'give the same state and verdict, bit for bit, when the run continues as new after block %i (invariant 8)',
    (cut) => {
      const carried: unknown = JSON.parse(JSON.stringify(through(BLOCKS.slice(0, cut))));
      const resumed = through(BLOCKS.slice(cut), carried as RuleState);
      const whole = through(BLOCKS);
      expect(JSON.stringify(resumed)).toBe(JSON.stringify(whole));
      expect(resumed).toStrictEqual(whole);
      expect(judge(SPEC, resumed)).toStrictEqual(judge(SPEC, whole));
    },
  );

  test('give the mirrored evidence when the versions change names', () => {
    const swapped = BLOCKS.map((block) => {
      const { 0: a, 1: b, 2: c } = block.groups[EVERYONE]!;
      return { ...block, groups: { [EVERYONE]: { '0': c!, '1': b!, '2': a! } } };
    });
    const straight = evidenceIn(SPEC, through(BLOCKS));
    const mirrored = evidenceIn(SPEC, through(swapped));
    expect(mirrored('0', '2', 0)).toBe(straight('2', '0', 0));
    expect(mirrored('1', '0', 0)).toBe(straight('1', '2', 0));
  });

  test('give the same evidence in whatever order the plan names the versions', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(SPEC.arms.slice(), { minLength: 3 }), (arms) => {
        const spec = { ...SPEC, arms };
        const other = evidenceIn(spec, through(BLOCKS, beginRule(spec), spec));
        const straight = evidenceIn(SPEC, through(BLOCKS));
        return ['0', '1', '2'].every((a) =>
          ['0', '1', '2'].every((b) => a === b || other(a, b, 0) === straight(a, b, 0)),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('are refused where a count cannot be, and the version is named', () => {
    const state = beginRule(SPEC);
    const counts = (n: number, sum: number): Block => ({
      ...BLOCKS[0]!,
      groups: { [EVERYONE]: { '0': { n, sum } } },
    });
    for (const wrong of [
      counts(-1, 0),
      counts(Number.NaN, 0),
      counts(3, 4),
      counts(3, -1),
      counts(3, Infinity),
    ]) {
      expect(() => observe(SPEC, state, wrong)).toThrow(/counts of 0 must/);
    }
  });
});

describe('groups that are split at random inside', () => {
  test('add up their evidence, and a difference between groups is none between versions', () => {
    const spec: AnytimeSpec = { ...SPEC, comparison: 'stratified', grid: effectGrid(0.01, 0.1) };
    // The group `rich` buys three times as often and got more of version 1: pooled, version 1 would look better.
    const block: Block = {
      fromMs: 0,
      toMs: 1000,
      groups: {
        rich: { '0': { n: 100, sum: 30 }, '1': { n: 900, sum: 270 }, '2': { n: 100, sum: 30 } },
        poor: { '0': { n: 900, sum: 90 }, '1': { n: 100, sum: 10 }, '2': { n: 900, sum: 90 } },
      },
    };
    const state = through([block, block, block, block, block, block], beginRule(spec), spec);
    const evidence = evidenceIn(spec, state);
    expect(evidence('1', '0', 0)).toBeLessThan(0);
    expect(Object.keys(state.dropped)).toEqual([]);
  });
});

describe('the sums that drop and choose', () => {
  const spec: AnytimeSpec = { ...SPEC, expectedRate: 0.4, epsilon: 0.2, grid: effectGrid(0.2, 0.4) };

  /** Expectation of the sum against 0, over K−1, after blocks with 2 units per version, by enumeration. */
  function expectation(
    rates: readonly number[],
    a: string | undefined,
    blocks: number,
    state = beginRule(spec),
  ): number {
    if (blocks === 0) {
      const { lnE, threshold } = shownAgainst(
        spec,
        { evidence: evidenceIn(spec, state), pulled: {} },
        '0',
        a,
      );
      return Math.exp(lnE - threshold) / spec.delta;
    }
    let sum = 0;
    for (const [x, px] of chances(rates[0]!)) {
      for (const [y, py] of chances(rates[1]!)) {
        for (const [z, pz] of chances(rates[2]!)) {
          const groups = {
            [EVERYONE]: { '0': { n: 2, sum: x }, '1': { n: 2, sum: y }, '2': { n: 2, sum: z } },
          };
          const next = observe(spec, state, { fromMs: 0, toMs: 0, groups });
          sum += px * py * pz * expectation(rates, a, blocks - 1, next);
        }
      }
    }
    return sum;
  }

  function chances(p: number): [number, number][] {
    return [
      [0, (1 - p) ** 2],
      [1, 2 * p * (1 - p)],
      [2, p ** 2],
    ];
  }

  test.each([
    ['all are alike', [0.4, 0.4, 0.4], undefined],
    ['it is best with another one', [0.5, 0.5, 0.1], undefined],
    ['the other is just ε worse, and a third is as good', [0.5, 0.3, 0.5], '1'],
    ['both others are just ε worse', [0.5, 0.3, 0.3], '2'],
  ] as const)('have an expectation ≤ 1 where the truth is that %s', (_what, rates, a) => {
    expect(expectation(rates, a, 2)).toBeLessThanOrEqual(1 + 1e-12);
  });
});
