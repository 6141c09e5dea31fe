import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockBet, blockStakes, ratioBet } from '../../../src/domain/decision/statistics/block-bet.ts';
import { boundedBet } from '../../../src/domain/decision/statistics/bounded-bet.ts';
import {
  ceilingEvidence,
  nextRelative,
  NO_RELATIVE,
} from '../../../src/domain/decision/statistics/ceiling.ts';
import { logMeanExp } from '../../../src/domain/decision/statistics/mixture.ts';
import { nextSampleRatio, NO_SAMPLE_RATIO } from '../../../src/domain/decision/statistics/sample-ratio.ts';

/** Expectations by enumeration of all outcomes: E[e] ≤ 1 wherever the null hypothesis holds. */

const SIZES = [1, 2, 3, 5, 8];
const RATES = [0.01, 0.1, 0.3, 0.5, 0.9, 0.99];
const EFFECTS = [0.04, 0.32, 1.28];
const ROUNDING = 1e-12;

const pairs = SIZES.flatMap((na) => SIZES.map((nb) => ({ na, nb })));

describe('the expectation of an e-value under its null hypothesis is at most 1', () => {
  test.each([0, -0.05, -0.2])('block bet with margin %d', (margin) => {
    let most = 0;
    for (const { na, nb } of pairs) {
      for (const rate of RATES) {
        for (const centre of RATES) {
          for (const effect of EFFECTS) {
            // At the edge of the null hypothesis: p_a = p_b + margin.
            const pa = rate + margin;
            if (pa < 0) continue;
            const stakes = blockStakes(na, nb, centre, effect);
            const lnE = (sa: number, sb: number) => blockBet({ na, sa, nb, sb }, stakes, centre, margin);
            most = Math.max(most, expectation({ na, pa, nb, pb: rate }, lnE));
          }
        }
      }
    }
    expect(most).toBeLessThanOrEqual(1 + ROUNDING);
    expect(most).toBeGreaterThan(0.999);
  });

  test.each([0.5, 1, 2, 3])('block bet on the ratio %d', (ratio) => {
    let most = 0;
    for (const { na, nb } of pairs) {
      for (const rate of RATES) {
        for (const centre of RATES) {
          for (const margin of [0, 0.02]) {
            const pa = Math.min(1, ratio * rate + margin);
            const bound = { ratio, margin, centre, difference: 0.1 };
            const lnE = (sa: number, sb: number) => ratioBet({ na, sa, nb, sb }, bound);
            most = Math.max(most, expectation({ na, pa, nb, pb: rate }, lnE));
          }
        }
      }
    }
    expect(most).toBeLessThanOrEqual(1 + ROUNDING);
  });

  test.each([1, 2])(
    'failures beside the baseline, at most %d times as many in each of two groups',
    (ratio) => {
      const before = { finished: 50, bad: 5 };
      const known = { ...NO_RELATIVE, groups: { young: before, old: { finished: 50, bad: 1 } } };
      let most = 0;
      for (const [young, old] of [
        [0.3, 0.02],
        [0.45, 0.2],
        [0.02, 0.4],
      ] as const) {
        for (const [na, nb] of [
          [3, 1],
          [1, 3],
        ] as const) {
          const inYoung = { na, pa: ratio * young, nb, pb: young };
          const inOld = { na: nb, pa: ratio * old, nb: na, pb: old };
          const lnE = (sa: number, sb: number, ta: number, tb: number): number => {
            const pair = (n: number, bad: number, m: number, worse: number) => ({
              candidate: { finished: n, bad },
              baseline: { finished: m, bad: worse },
            });
            const groups = { young: pair(na, sa, nb, sb), old: pair(nb, ta, na, tb) };
            const state = nextRelative(known, { ...pair(na + nb, 0, na + nb, 0), groups }, ratio);
            // Of the first block, whose capital is all of the first share.
            return logMeanExp(state.lnE);
          };
          const chances = binomial(inYoung.na, inYoung.pa).flatMap((a, sa) =>
            binomial(inYoung.nb, inYoung.pb).map((b, sb) => ({ chance: a * b, sa, sb })),
          );
          const sum = chances.reduce(
            (total, { chance, sa, sb }) =>
              total + chance * expectation(inOld, (ta, tb) => lnE(sa, sb, ta, tb)),
            0,
          );
          most = Math.max(most, sum);
        }
      }
      expect(most).toBeLessThanOrEqual(1 + ROUNDING);
      expect(most).toBeGreaterThan(0.5);
    },
  );

  test.each([0, -0.1])('empirical-Bernstein bet with margin %d', (margin) => {
    let most = 0;
    // Outcomes 0, middle or 1, so that a mean of `mean` comes about with different spreads.
    for (const middle of [0.05, 0.4]) {
      for (const mean of [0.02, 0.1, 0.3]) {
        for (const { na, nb } of pairs) {
          for (const centre of [0.02, 0.3]) {
            for (const effect of EFFECTS) {
              const bet = { centre, variance: 0.01, margin, effect };
              const meanA = mean + margin;
              if (meanA < 0) continue;
              for (const share of [0, 0.5, 1]) {
                if ((mean * share) / middle + mean * (1 - share) > 1) continue;
                most = Math.max(most, boundedExpectation({ na, nb, middle, share, meanA, meanB: mean }, bet));
              }
            }
          }
        }
      }
    }
    expect(most).toBeLessThanOrEqual(1 + ROUNDING);
  });

  test.each([0.01, 0.05, 0.3, 0.8])('ceiling of %d', (limit) => {
    for (const n of [1, 4, 8, 30]) {
      for (const rate of [limit, limit / 2]) {
        const mean = binomial(n, rate).reduce(
          (sum, chance, bad) => sum + chance * Math.exp(ceilingEvidence(bad, n, limit)),
          0,
        );
        expect(mean).toBeLessThanOrEqual(1 + ROUNDING);
      }
    }
  });

  test('sample ratio, of one block after any other', () => {
    for (const earlier of [0, 3, 700]) {
      const state = nextSampleRatio(NO_SAMPLE_RATIO, { a: earlier, b: 10 }, { a: 1, b: 2 });
      const mean = binomial(8, 0.25).reduce((sum, chance, a) => {
        const next = nextSampleRatio(state, { a, b: 8 - a }, { a: 0.25, b: 0.75 });
        return sum + chance * Math.exp(next.lnE - state.lnE);
      }, 0);
      expect(mean).toBeCloseTo(1, 12);
    }
  });
});

describe('evidence of a block', () => {
  const counts = fc
    .record({
      na: fc.integer({ min: 1, max: 500 }),
      nb: fc.integer({ min: 1, max: 500 }),
      shareA: fc.double({ min: 0, max: 1, noNaN: true }),
      shareB: fc.double({ min: 0, max: 1, noNaN: true }),
      centre: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      effect: fc.double({ min: 0.01, max: 1.28, noNaN: true }),
    })
    .map(({ na, nb, shareA, shareB, ...rest }) => ({
      counts: { na, nb, sa: Math.round(na * shareA), sb: Math.round(nb * shareB) },
      ...rest,
    }));

  test('falls strictly as the margin grows', () => {
    fc.assert(
      fc.property(counts, ({ counts: block, centre, effect }) => {
        const stakes = blockStakes(block.na, block.nb, centre, effect);
        const [low, middle, high] = [-0.1, -0.05, 0].map((margin) => blockBet(block, stakes, centre, margin));
        return low! > middle! && middle! > high!;
      }),
    );
  });

  test('is finite, whatever was counted', () => {
    fc.assert(
      fc.property(counts, ({ counts: block, centre, effect }) => {
        const stakes = blockStakes(block.na, block.nb, centre, effect);
        return Number.isFinite(blockBet(block, stakes, centre, 0));
      }),
    );
  });
});

interface TwoArms {
  readonly na: number;
  readonly pa: number;
  readonly nb: number;
  readonly pb: number;
}

function expectation({ na, pa, nb, pb }: TwoArms, lnE: (sa: number, sb: number) => number): number {
  const chancesB = binomial(nb, pb);
  return binomial(na, pa).reduce(
    (sum, chanceA, sa) =>
      sum + chancesB.reduce((part, chanceB, sb) => part + chanceA * chanceB * Math.exp(lnE(sa, sb)), 0),
    0,
  );
}

interface Bounded {
  readonly na: number;
  readonly nb: number;
  readonly middle: number;
  /** How much of the mean comes from the middle outcome. */
  readonly share: number;
  readonly meanA: number;
  readonly meanB: number;
}

/** The two arms' factors are independent: the expectation is the product of theirs. */
function boundedExpectation(arms: Bounded, bet: Parameters<typeof boundedBet>[2]): number {
  const sums = (n: number, mean: number) =>
    outcomes(n, [(mean * arms.share) / arms.middle, mean * (1 - arms.share)]).map(
      ({ chance, middles, ones }) => ({
        chance,
        n,
        sum: middles * arms.middle + ones,
        squares: middles * arms.middle ** 2 + ones,
      }),
    );
  const bSums = sums(arms.nb, arms.meanB);
  return sums(arms.na, arms.meanA).reduce(
    (total, a) =>
      total + bSums.reduce((part, b) => part + a.chance * b.chance * Math.exp(boundedBet(a, b, bet)), 0),
    0,
  );
}

function outcomes(n: number, [middle, one]: [number, number]) {
  const all: { chance: number; middles: number; ones: number }[] = [];
  const rest = Math.max(0, 1 - middle - one);
  for (let middles = 0; middles <= n; middles += 1) {
    for (let ones = 0; ones + middles <= n; ones += 1) {
      const ways = choose(n, middles) * choose(n - middles, ones);
      const chance = ways * middle ** middles * one ** ones * rest ** (n - middles - ones);
      if (chance > 0) all.push({ chance, middles, ones });
    }
  }
  return all;
}

function binomial(n: number, p: number): number[] {
  return Array.from({ length: n + 1 }, (_, k) => choose(n, k) * p ** k * (1 - p) ** (n - k));
}

function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i += 1) ways = (ways * (n - k + i)) / i;
  return ways;
}
