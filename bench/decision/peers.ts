import { divergence, lnGamma } from '../../src/domain/decision/statistics/special-functions.ts';

/** What others decide by, for comparison; the product uses none of it. */

/** Generalised likelihood ratio of two shares against their being equal. */
export function likelihoodRatio(na: number, sa: number, nb: number, sb: number): number {
  const mean = (sa + sb) / (na + nb);
  return na * divergence(sa / na, mean) + nb * divergence(sb / nb, mean);
}

/** Its proven threshold by Kaufmann and Koolen (2021), for x = ln((K−1)/δ)/2. */
export function provenThreshold(x: number): number {
  const zeta2 = (Math.PI * Math.PI) / 6;
  const y = (inverseOfH(1 + x) + Math.log(2 * zeta2)) / 2;
  const z = 1.5;
  const edge = 1 / Math.log(z);
  if (y < edge - Math.log(edge)) return 2 * z * (y - Math.log(Math.log(z)));
  const inverse = inverseOfH(y);
  return 2 * Math.exp(1 / inverse) * inverse;
}

/** u ≥ 1 with u − ln u = y. */
function inverseOfH(y: number): number {
  let low = 1;
  let high = 2 * y + 2;
  for (let i = 0; i < 100; i += 1) {
    const middle = (low + high) / 2;
    if (middle - Math.log(middle) < y) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** ln e of the mixture sequential probability ratio test of a difference `d` with variance v/n and prior variance τ². */
export function mixtureTest(d: number, v: number, tau2: number, n: number): number {
  return 0.5 * Math.log(v / (v + n * tau2)) + (n * n * tau2 * d * d) / (2 * v * (v + n * tau2));
}

/** P(a > b) of independent Beta(sa+1, fa+1) and Beta(sb+1, fb+1), exactly. */
export function chanceToBeat(
  a: { successes: number; failures: number },
  b: { successes: number; failures: number },
): number {
  const [alphaA, betaA, alphaB, betaB] = [a.successes + 1, a.failures + 1, b.successes + 1, b.failures + 1];
  let sum = 0;
  for (let i = 0; i < alphaA; i += 1) {
    sum += Math.exp(
      lnBeta(alphaB + i, betaA + betaB) - Math.log(betaA + i) - lnBeta(1 + i, betaA) - lnBeta(alphaB, betaB),
    );
  }
  return sum;
}

function lnBeta(x: number, y: number): number {
  return lnGamma(x) + lnGamma(y) - lnGamma(x + y);
}
