import { describe, expect, test } from 'vitest';
import * as peers from '../../../bench/decision/peers.ts';
import { blockBet, blockStakes } from '../../../src/domain/decision/statistics/block-bet.ts';
import { boundedBet, psi } from '../../../src/domain/decision/statistics/bounded-bet.ts';
import { breachRates, ceilingEvidence } from '../../../src/domain/decision/statistics/ceiling.ts';
import { bucketVariance, confounderNeeded } from '../../../src/domain/decision/statistics/dependence.ts';
import {
  asymptoticHalfWidth,
  lnMixture,
  oneSidedHalfWidth,
  tuning,
  wilsonInterval,
} from '../../../src/domain/decision/statistics/interval.ts';
import { lowerBound } from '../../../src/domain/decision/statistics/lower-bound.ts';
import { logMeanExp } from '../../../src/domain/decision/statistics/mixture.ts';
import {
  fixedShareEvidence,
  nextSampleRatio,
  NO_SAMPLE_RATIO,
} from '../../../src/domain/decision/statistics/sample-ratio.ts';
import {
  divergence,
  lnGamma,
  normalQuantile,
} from '../../../src/domain/decision/statistics/special-functions.ts';
import { fixedSampleSize, standardScore, twoSided } from '../../../src/domain/decision/rules/fixed-sample.ts';
import { referenceValues } from './reference-values.ts';

const values = referenceValues();

/** To 1e-9 relative; of what is 0 absolute. */
function same(actual: number, expected: number): void {
  expect(Math.abs(actual - expected), `${actual} is ${expected}`).toBeLessThanOrEqual(
    1e-9 * Math.max(Math.abs(expected), expected === 0 ? 1e-3 : 0),
  );
}

describe('reference values to nine digits', () => {
  test.each(Object.entries(values.klbin))('kl(δ, 1−δ) at δ=%s', (delta, expected) => {
    same(divergence(Number(delta), 1 - Number(delta)), expected);
  });
  test.each(values.kl)('d(%d, %d)', (p, q, expected) => {
    same(divergence(p, q), expected);
  });
  test.each(Object.entries(values.tstar))('characteristic time and shares of %s', (_name, { mu, T, w }) => {
    const bound = lowerBound(mu, 0.05);
    same(bound.characteristicTime, T);
    // The shares are where a flat function is least: its minimum is known to twice as many digits as its place.
    bound.shares.forEach((share, i) => expect(share).toBeCloseTo(w[i]!, 5));
  });
  test.each(values.glr)('likelihood ratio of %d %d %d %d', (na, sa, nb, sb, expected) => {
    same(peers.likelihoodRatio(na, sa, nb, sb), expected);
  });
  test.each(values.bb_step)('block bet %o', ({ na, sa, nb, sb, c, m, h, ln_e }) => {
    same(blockBet({ na, sa, nb, sb }, blockStakes(na, nb, c, h), c, m), ln_e);
  });
  test.each(values.psi)('psi(%d)', (l, expected) => {
    same(psi(l), expected);
  });
  test.each(values.eb_step)('empirical-Bernstein bet %o', ({ na, Sa, Qa, nb, Sb, Qb, c, v, m, h, ln_e }) => {
    const bet = { centre: c, variance: v, margin: m, effect: h };
    same(boundedBet({ n: na, sum: Sa, squares: Qa }, { n: nb, sum: Sb, squares: Qb }, bet), ln_e);
  });
  test.each(values.mixture)('mixture of %o', (logs, expected) => {
    same(logMeanExp(logs), expected);
  });
  test.each(values.asympcs)('asymptotic interval %o', ({ s2, n, alpha, rho, half, rho1, half1 }) => {
    same(Math.sqrt(tuning(alpha)), rho);
    same(Math.sqrt(tuning(2 * alpha)), rho1);
    same(asymptoticHalfWidth({ variance: s2, n }, alpha), half);
    same(oneSidedHalfWidth({ variance: s2, n }, alpha), half1);
  });
  test.each(values.msprt_lnE)('mixture SPRT %d %d %d %d', (d, v, tau2, n, expected) => {
    same(peers.mixtureTest(d, v, tau2, n), expected);
  });
  test.each(values.srm_dm)('sample ratio with fixed shares %o', ({ x, theta, conc, lnE }) => {
    same(fixedShareEvidence(x, theta, conc), lnE);
  });
  test('sample ratio with shares that change', () => {
    const { blocks, lnE } = values.srm_plugin;
    let state = NO_SAMPLE_RATIO;
    blocks.forEach(([counts, shares], i) => {
      state = nextSampleRatio(state, named(counts), named(shares));
      same(state.lnE, lnE[i]!);
    });
  });
  test.each(values.guard_abs)('ceiling %o', ({ s, f, L, theta, lnE }) => {
    breachRates(L).forEach((rate, i) => {
      same(rate, theta[i]!);
    });
    same(ceilingEvidence(s, s + f, L), lnE);
    expect(lnE >= Math.log(1000)).toBe(values.guard_abs.find((one) => one.lnE === lnE)!.fires_at_001);
  });
  test.each(values.fixed_n)('fixed sample %o', ({ p1, p2, alpha, power, n_per_arm }) => {
    expect(fixedSampleSize([p1, p2], alpha, power)).toBe(n_per_arm);
  });
  test.each(values.ztest)('z of %d/%d and %d/%d', (sa, na, sb, nb, z, p) => {
    const score = standardScore({ n: na, sum: sa, squares: sa }, { n: nb, sum: sb, squares: sb });
    same(score, z);
    same(twoSided(score), p);
  });
  test.each(values.wilson95)('Wilson %d/%d', (s, n, low, high) => {
    const interval = wilsonInterval(s, n);
    same(interval[0], low);
    same(interval[1], high);
  });
  test.each(values.lkt)('KT mixture %d %d', (s, f, expected) => {
    same(lnMixture(s, f), expected);
  });
  test.each(values.lgamma)('ln Γ(%d)', (x, expected) => {
    same(lnGamma(x), expected);
  });
  test.each(values.normal_quantile)('normal quantile %d', (p, expected) => {
    same(normalQuantile(p), expected);
  });
  test.each(values.P_beta_a_gt_b)('chance to beat %d %d %d %d', (sa, fa, sb, fb, expected) => {
    same(peers.chanceToBeat({ successes: sa, failures: fa }, { successes: sb, failures: fb }), expected);
  });
  test('variance from buckets', () => {
    const { N, S, ratio, var: variance, binomial_var } = values.bucket_var;
    const found = bucketVariance(N, S);
    same(found.ratio, ratio);
    same(found.variance, variance);
    same(found.binomial, binomial_var);
  });
  test.each(values.evalue_confounding)('confounder that explains a risk ratio of %d', (ratio, expected) => {
    same(confounderNeeded(ratio), expected);
  });
  test.each(values.KK21)('threshold of Kaufmann and Koolen at %d', (x, expected) => {
    same(peers.provenThreshold(x), expected);
  });
});

function named(numbers: readonly number[]): Record<string, number> {
  return Object.fromEntries(numbers.map((number, i) => [`arm-${i}`, number]));
}
