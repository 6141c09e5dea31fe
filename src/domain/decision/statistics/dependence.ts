/** How far counts may be led astray by what randomisation does not cover. For display and warnings, not for decisions. */

/**
 * Variance of the ratio ΣS/ΣN from buckets of customers (64 per version, by a salted hash): where requests of a customer
 * are alike it is greater than the binomial one.
 */
export function bucketVariance(
  units: readonly number[],
  successes: readonly number[],
): { readonly ratio: number; readonly variance: number; readonly binomial: number } {
  const n = units.reduce((sum, each) => sum + each, 0);
  const ratio = successes.reduce((sum, each) => sum + each, 0) / n;
  const squares = units.reduce((sum, each, i) => sum + ((successes[i] ?? 0) - ratio * each) ** 2, 0);
  const buckets = units.length;
  const variance = ((buckets / (buckets - 1)) * squares) / (n * n);
  return { ratio, variance, binomial: (ratio * (1 - ratio)) / n };
}

/** The variances' ratio from which requests of one customer are called dependent. */
export const DEPENDENT = 1.5;

/**
 * How strong an unseen difference between groups would have to be, as a risk ratio, to explain all of an observed one:
 * RR + √(RR·(RR−1)) (VanderWeele and Ding 2017).
 */
export function confounderNeeded(riskRatio: number): number {
  const ratio = riskRatio >= 1 ? riskRatio : 1 / riskRatio;
  return ratio + Math.sqrt(ratio * (ratio - 1));
}
