import { describe, expect, it, test } from 'vitest';
import { EVERYONE, type ArmCounts, type Block } from '../../../src/domain/decision/block.ts';
import { expectedGroupShares } from '../../../src/domain/decision/expected-group-shares.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import type { AnytimeSpec, RuleSpec } from '../../../src/domain/decision/rule-spec.ts';
import { leaderOf } from '../../../src/domain/decision/rules/shares.ts';
import { SAMPLE_RATIO_LIMIT, type RuleState } from '../../../src/domain/decision/rule-state.ts';
import { binomial, seededRandom, type Random } from '../../../src/domain/decision/simulation/random.ts';
import { runTrial, type SyntheticGroup } from '../../../src/domain/decision/simulation/trial.ts';
import { nextGroupRatios, NO_SAMPLE_RATIO } from '../../../src/domain/decision/statistics/sample-ratio.ts';
import { comparableOf } from '../../../src/domain/decision/strata.ts';
import { ledWeights } from '../../../src/domain/policy/leader.ts';
import type { Weights } from '../../../src/domain/policy/policy.ts';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { TrafficSplit } from '../../../src/domain/routes/table.ts';
import { ANYTIME_BY_ACCOUNT } from './rule-specs.ts';

const SPEC: AnytimeSpec = { ...ANYTIME_BY_ACCOUNT, comparison: 'stratified' };

/** 2.0-a sells more to the young and to the old, and is mostly given to the young, who buy little. */
const PARADOX: Readonly<Record<string, Readonly<Record<string, ArmCounts>>>> = {
  young: { '2.0-a': { n: 900, sum: 90 }, '2.0-b': { n: 100, sum: 5 } },
  old: { '2.0-a': { n: 100, sum: 45 }, '2.0-b': { n: 900, sum: 360 } },
};
const POOLED = { [EVERYONE]: { '2.0-a': { n: 1000, sum: 135 }, '2.0-b': { n: 1000, sum: 365 } } };

function after(spec: RuleSpec, groups: Block['groups'], blocks = 20): RuleState {
  let state = beginRule(spec);
  for (let i = 0; i < blocks; i += 1) {
    state = observe(spec, state, { fromMs: i * 1000, toMs: (i + 1) * 1000, groups });
  }
  return state;
}

describe('groups that are dealt differently (Simpson’s paradox)', () => {
  it('name the better version, where sums over all of them name the worse one', () => {
    expect(judge(SPEC, after(SPEC, POOLED))).toMatchObject({ kind: 'winner', winner: '2.0-b' });
    expect(judge(SPEC, after(SPEC, PARADOX))).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  });

  it('do so in one look as well', () => {
    const fixed: RuleSpec = { ...SPEC, rule: 'fixed-sample', unitsPerArm: 4000 };
    expect(judge(fixed, after(fixed, POOLED))).toMatchObject({ kind: 'winner', winner: '2.0-b' });
    const verdict = judge(fixed, after(fixed, PARADOX));
    expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
    // What is shown of the look stays what it was.
    expect(verdict.comparisons).toEqual(judge(fixed, after(fixed, PARADOX, 4)).comparisons);
  });

  it('name nobody in one look where the average speaks for one version and the test for the other', () => {
    const fixed: RuleSpec = { ...SPEC, rule: 'fixed-sample', unitsPerArm: 10_000 };
    const groups = {
      x: { '2.0-a': { n: 36_000, sum: 4_320 }, '2.0-b': { n: 4_000, sum: 400 } },
      y: { '2.0-a': { n: 12_000, sum: 1_200 }, '2.0-b': { n: 12_000, sum: 1_560 } },
    };
    expect(judge(fixed, after(fixed, groups, 1)).kind).not.toBe('winner');
  });

  it('are compared by what the versions that are left have, whatever group a pulled one was seen in', () => {
    const sums = {
      x: {
        a: { n: 100, sum: 10, squares: 10 },
        b: { n: 100, sum: 20, squares: 20 },
        c: { n: 3, sum: 1, squares: 1 },
      },
      y: { a: { n: 300, sum: 60, squares: 60 }, b: { n: 100, sum: 10, squares: 10 } },
    };
    const state = { sums, pulled: { c: 'errors' }, dropped: {} };
    const without = { sums: { x: { a: sums.x.a, b: sums.x.b }, y: sums.y }, pulled: {}, dropped: {} };
    const mean = (of: typeof state | typeof without, version: string): number => {
      const { n, sum } = comparableOf(of)[version] ?? { n: 0, sum: 0 };
      return sum / n;
    };
    expect(mean(state, 'a')).toBeCloseTo(mean(without, 'a'), 2);
    expect(mean(state, 'c')).toBeCloseTo(1 / 3, 9);
  });

  it('are shown as averages over the groups, by their size, and one by one', () => {
    const { arms, notes, sentence } = judge(SPEC, after(SPEC, PARADOX, 1));
    // Both groups have 1,000 units: (10 % + 45 %)/2 and (5 % + 40 %)/2.
    expect(arms.map(({ efficacy }) => efficacy?.toFixed(4))).toEqual(['0.2750', '0.2250']);
    for (const { efficacy, interval } of arms) {
      expect(interval?.[0]).toBeLessThan(efficacy ?? 0);
      expect(interval?.[1]).toBeGreaterThan(efficacy ?? 0);
    }
    expect(sentence).toContain('2.0-a: 135 of 1,000, by groups 27.50 %');
    expect(notes.join('\n')).toMatch(/^Accounts were dealt at random inside each group/);
    expect(notes).toContain('Group young: 2.0-a 90 of 900 = 10.00 %, 2.0-b 5 of 100 = 5.00 %.');
  });

  it('leave out a group that has only one of the versions', () => {
    const alone = { ...PARADOX, children: { '2.0-b': { n: 5000, sum: 0 } } };
    const [a, b] = [after(SPEC, PARADOX), after(SPEC, alone)];
    expect(comparableOf(b)).toEqual(comparableOf(a));
    expect(b.pairs).toEqual(a.pairs);
  });

  it('are of one group what its sums are, to the last bit', () => {
    const state = after(SPEC, { [EVERYONE]: { '2.0-a': { n: 7, sum: 3 }, '2.0-b': { n: 9, sum: 4 } } }, 3);
    expect(comparableOf(state)).toEqual({
      '2.0-a': { n: 21, sum: 9, squares: 9 },
      '2.0-b': { n: 27, sum: 12, squares: 12 },
    });
  });
});

/** Groups with very different rates and shares, or with those of a leader; versions do not differ. */
function alike(random: Random, leaderShare?: number): SyntheticGroup[] {
  const candidates = ['2.0-a', '2.0-b'];
  const led = (weights: Weights, state: RuleState): Weights => {
    const leader = leaderOf(SPEC, state);
    if (leaderShare === undefined || leader === undefined) return weights;
    return ledWeights(weights, { leader, share: leaderShare, candidates, out: [] });
  };
  return [
    { name: 'young', rate: 0.03, share: 0.5, a: 0.9 },
    { name: 'middle', rate: 0.2, share: 0.3, a: 0.5 },
    { name: 'old', rate: 0.6, share: 0.2, a: 0.1 },
  ].map(({ name, rate, share, a }) => ({
    name,
    share,
    sharesOf: (state) => led({ '2.0-a': a, '2.0-b': 1 - a }, state),
    outcomes: (_arm, n) => ({ n, sum: binomial(random, n, rate) }),
  }));
}

describe('where nothing differs', () => {
  const RUNS = 300;
  /** Each of two versions may be called better with δ. */
  const MOST = RUNS * (0.1 + 3 * Math.sqrt((0.1 * 0.9) / RUNS));

  test.each([
    ['few large blocks', 2_000, undefined],
    ['many small ones', 100, undefined],
    ['small ones of which whoever is in front gets 80 %', 100, 0.8],
  ])('a winner is named at most as often as promised, in %s', (_, unitsPerBlock, leaderShare) => {
    const random = seededRandom(20_260_101);
    let winners = 0;
    for (let run = 0; run < RUNS; run += 1) {
      const groups = alike(random, leaderShare);
      const outcomes = (): never => {
        throw new Error('groups have their own');
      };
      const trial = {
        spec: SPEC,
        unitsPerBlock,
        blockMs: 1,
        maxUnits: 100 * unitsPerBlock,
        outcomes,
        groups,
      };
      if (runTrial(trial, random).decided !== null) winners += 1;
    }
    expect(winners).toBeLessThanOrEqual(MOST);
  });

  test('sums over the groups name one nearly always', () => {
    const random = seededRandom(1);
    let winners = 0;
    for (let run = 0; run < 20; run += 1) {
      let state = beginRule(SPEC);
      for (let i = 0; i < 50; i += 1) {
        const sums = { '2.0-a': { n: 0, sum: 0 }, '2.0-b': { n: 0, sum: 0 } };
        for (const { share, sharesOf, outcomes } of alike(random)) {
          for (const version of ['2.0-a', '2.0-b'] as const) {
            const n = Math.round(1000 * share * (sharesOf(state)[version] ?? 0));
            sums[version].n += n;
            sums[version].sum += outcomes(0, n, 0).sum;
          }
        }
        state = observe(SPEC, state, { fromMs: i, toMs: i + 1, groups: { [EVERYONE]: sums } });
      }
      if (state.decided !== null) winners += 1;
    }
    expect(winners).toBeGreaterThan(18);
  });
});

describe('the sample ratio of groups', () => {
  const shares = Object.fromEntries(
    ['a', 'b', 'c', 'd', 'e'].map((group, i) => [group, { x: 0.1 + 0.2 * i, y: 0.9 - 0.2 * i }]),
  );

  function evidence(random: Random, wrong: string | null): number {
    let state = NO_SAMPLE_RATIO;
    for (let look = 0; look < 100; look += 1) {
      const counts = Object.entries(shares).map(([group, { x }]) => {
        const n = binomial(random, 200, group === wrong ? x * 0.6 : x);
        return [group, { x: { n }, y: { n: 200 - n } }] as const;
      });
      state = nextGroupRatios(state, Object.fromEntries(counts), shares);
    }
    return state.lnE;
  }

  it('sounds the alarm where one of them is dealt otherwise than asked', () => {
    expect(evidence(seededRandom(3), 'c')).toBeGreaterThan(SAMPLE_RATIO_LIMIT);
  });

  it('sounds none where all are dealt as asked, however different they are', () => {
    const random = seededRandom(4);
    for (let run = 0; run < 50; run += 1) expect(evidence(random, null)).toBeLessThan(SAMPLE_RATIO_LIMIT);
  });

  it('makes the data untrusted', () => {
    const groups = PARADOX;
    const sharesByGroup = { young: { '2.0-a': 0.9, '2.0-b': 0.1 }, old: { '2.0-a': 0.9, '2.0-b': 0.1 } };
    let state = beginRule(SPEC);
    for (let i = 0; i < 3; i += 1)
      state = observe(SPEC, state, { fromMs: i, toMs: i + 1, groups, sharesByGroup });
    const verdict = judge(SPEC, state);
    expect(verdict).toMatchObject({ kind: 'untrustedData', reason: 'sampleRatio' });
    expect(verdict.sentence).toContain('2.0-a got 3,000 of 5,400 expected');
  });
});

test('what is expected of each group is what its accounts get', () => {
  const split: TrafficSplit = {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      rules: [
        { below: 35, to: { '2.0-a': 1, '2.0-b': 1 } },
        { from: 35, to: { '2.0-a': 1, '2.0-b': 3 } },
      ],
    },
    withoutKey: '1.4',
    baseline: '1.4',
    share: 0.25,
    salt: 'trial',
    pulled: [],
    counting: { unit: 'account', control: true, timeoutMs: 10_000, windowMs: 0 },
  };
  const expected = expectedGroupShares(split);
  expect(expected).toEqual({
    'range:..35': { '2.0-a': 0.125, '2.0-b': 0.125, '1.4': 0.75 },
    'range:35..': { '2.0-a': 0.0625, '2.0-b': 0.1875, '1.4': 0.75 },
  });
  const decide = compileSplit(split);
  const seen: Record<string, number> = {};
  const accounts = 20_000;
  for (let n = 0; n < accounts; n += 1) {
    const { release } = decide('40', `account-${n}`);
    seen[release] = (seen[release] ?? 0) + 1;
  }
  for (const [release, share] of Object.entries(expected?.['range:35..'] ?? {})) {
    const sd = Math.sqrt((share * (1 - share)) / accounts);
    expect(Math.abs((seen[release] ?? 0) / accounts - share)).toBeLessThan(4 * sd);
  }
});
