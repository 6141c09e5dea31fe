import { lnGamma, normalQuantile } from './special-functions.ts';

export type Interval = readonly [low: number, high: number];

/** Wilson's interval of a share that is looked at once. `successes` of `n` > 0, at the given confidence such as 0.95. */
export function wilsonInterval(successes: number, n: number, confidence = 0.95): Interval {
  const z = normalQuantile((1 + confidence) / 2);
  const p = successes / n;
  const spread = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  const centre = p + (z * z) / (2 * n);
  const scale = 1 + (z * z) / n;
  const low = successes <= 0 ? 0 : Math.max(0, (centre - spread) / scale);
  const high = successes >= n ? 1 : Math.min(1, (centre + spread) / scale);
  return [low, high];
}

/** ln of the Krichevsky–Trofimov mixture of `successes` and `failures`. */
export function lnMixture(successes: number, failures: number): number {
  const half = lnGamma(0.5);
  return lnGamma(successes + 0.5) + lnGamma(failures + 0.5) - lnGamma(successes + failures + 1) - 2 * half;
}

/**
 * Interval of a share that may be looked at again and again: it holds at all looks together with the given confidence,
 * as long as the share itself stands still. All shares that the mixture does not yet exclude.
 */
export function anytimeInterval(successes: number, n: number, confidence = 0.95): Interval {
  const failures = n - successes;
  const limit = Math.log(1 / (1 - confidence));
  const mixture = lnMixture(successes, failures);
  const excluded = (p: number): boolean => mixture - lnLikelihood(successes, failures, p) >= limit;
  const best = successes / n;
  return [
    successes <= 0 ? 0 : edge({ outside: 0, inside: best }, excluded),
    failures <= 0 ? 1 : edge({ outside: 1, inside: best }, excluded),
  ];
}

function lnLikelihood(successes: number, failures: number, p: number): number {
  return (successes === 0 ? 0 : successes * Math.log(p)) + (failures === 0 ? 0 : failures * Math.log1p(-p));
}

function edge(bounds: { outside: number; inside: number }, excluded: (p: number) => boolean): number {
  let { outside, inside } = bounds;
  for (let i = 0; i < 50; i += 1) {
    const middle = (outside + inside) / 2;
    if (excluded(middle)) outside = middle;
    else inside = middle;
  }
  return outside;
}

/** Units at which the asymptotic interval is narrowest compared with others of its kind. */
const TUNED_TO = 5000;

/**
 * Half the width of an interval of a mean that holds at all looks together, for large n (Waudby-Smith et al. 2024;
 * GrowthBook's sequential test has the same). For display: heavy tails and uneven shares make it too narrow to decide by.
 */
export function asymptoticHalfWidth({ variance, n }: { variance: number; n: number }, alpha = 0.05): number {
  const rho2 = tuning(alpha);
  const x = n * rho2 + 1;
  return Math.sqrt((variance * 2 * x * Math.log(Math.sqrt(x) / alpha)) / (n * n * rho2));
}

/** The same, one-sided. */
export function oneSidedHalfWidth({ variance, n }: { variance: number; n: number }, alpha = 0.05): number {
  const rho2 = tuning(2 * alpha);
  const x = n * rho2 + 1;
  return Math.sqrt((variance * 2 * x * Math.log(1 + Math.sqrt(x) / (2 * alpha))) / (n * n * rho2));
}

/** ρ². */
export function tuning(alpha: number): number {
  return (-2 * Math.log(alpha) + Math.log(1 - 2 * Math.log(alpha))) / TUNED_TO;
}

/** Interval of a mean of outcomes between 0 and 1, for display; at all looks together, and for large n. */
export function meanInterval(
  { n, sum, squares }: { n: number; sum: number; squares: number },
  alpha = 0.05,
): Interval {
  const mean = sum / n;
  const half = asymptoticHalfWidth({ variance: Math.max(0, squares / n - mean * mean), n }, alpha);
  return [Math.max(0, mean - half), Math.min(1, mean + half)];
}
