import { describe, expect, test } from 'vitest';
import { binomial, seededRandom } from '../../../src/domain/decision/simulation/random.ts';
import { runTrial } from '../../../src/domain/decision/simulation/trial.ts';
import { lnGamma } from '../../../src/domain/decision/statistics/special-functions.ts';
import { ANYTIME_BY_ACCOUNT, CANDIDATES } from './rule-specs.ts';

describe('the binomial sampler', () => {
  test.each([
    [12, 0.3],
    [40, 0.5],
    [1000, 0.1],
    [300, 0.97],
    [50_000, 0.0001],
  ])('draws %d tries of chance %d as they are distributed', (n, p) => {
    const random = seededRandom(5);
    const draws = 40_000;
    const seen = new Map<number, number>();
    for (let i = 0; i < draws; i += 1) {
      const k = binomial(random, n, p);
      seen.set(k, (seen.get(k) ?? 0) + 1);
    }
    let chiSquare = 0;
    let cells = 0;
    for (const [k, count] of seen) {
      const lnWays = lnGamma(n + 1) - lnGamma(k + 1) - lnGamma(n - k + 1);
      const expected = draws * Math.exp(lnWays + k * Math.log(p) + (n - k) * Math.log1p(-p));
      if (expected < 10) continue;
      chiSquare += (count - expected) ** 2 / expected;
      cells += 1;
    }
    // Five standard deviations of a chi-square number; the seed is fixed, so that this is no chance.
    expect(chiSquare).toBeLessThan(cells + 5 * Math.sqrt(2 * cells));
  });
});

describe('where nothing differs, in 2,000 trials of 25 looks', () => {
  const RUNS = 2000;
  const LIMIT = 0.05 + 3 * Math.sqrt((0.05 * 0.95) / RUNS);

  test.each([
    ['a steady rate and equal shares', 0, undefined],
    ['day and night and equal shares', 0.06, undefined],
    ['day and night and a leader share of 80 %', 0.06, 0.8],
  ])(
    '%s leave either version the winner in at most 5 % and three deviations',
    (_what, swing, leaderShare) => {
      const random = seededRandom(11);
      const rule = leaderShare === undefined ? ANYTIME_BY_ACCOUNT : { ...ANYTIME_BY_ACCOUNT, leaderShare };
      const wins = new Map<string, number>();
      for (let run = 0; run < RUNS; run += 1) {
        const { decided } = runTrial(
          {
            spec: rule,
            unitsPerBlock: 2000,
            blockMs: 1,
            maxUnits: 50_000,
            outcomes: (_arm, n, before) => {
              const rate = 0.1 + swing * Math.sin((2 * Math.PI * 6 * before) / 50_000);
              return { n, sum: binomial(random, n, rate) };
            },
          },
          random,
        );
        if (decided !== null) wins.set(decided.version, (wins.get(decided.version) ?? 0) + 1);
      }
      for (const { version } of CANDIDATES)
        expect((wins.get(version) ?? 0) / RUNS).toBeLessThanOrEqual(LIMIT);
    },
  );
});

test('the same seed gives the same numbers, another one others', () => {
  const draw = (seed: number) => Array.from({ length: 5 }, seededRandom(seed));
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
  expect(draw(1).every((x) => x >= 0 && x < 1)).toBe(true);
});
