/**
 * The same question for amounts and clicks, each capped and scaled to 0..1 per unit: is the mean of arm `a` greater
 * than that of arm `b` by more than `margin`? An empirical-Bernstein bet, which needs only counts, sums and sums of
 * squares and is exact for any distribution on 0..1, however heavy its tail was before it was capped.
 *
 * Why E[e] ≤ 1: exp(l·y − ψ(l)·y²) ≤ 1 + l·y for y ≥ −1 and 0 ≤ l < 1 (Fan, Grama and Liu 2015), so a unit of `a`
 * contributes at most exp(la·(μ_a−c)) and one of `b` at most exp(−lb·(μ_b−c)); na·la = nb·lb cancels c and leaves
 * exp(na·la·(μ_a−μ_b−margin)) ≤ 1.
 */

export interface BoundedSums {
  readonly n: number;
  /** Σx and Σx² of the capped, scaled outcomes. */
  readonly sum: number;
  readonly squares: number;
}

export interface BoundedBet {
  /** Mean and variance over both arms as earlier blocks show them. */
  readonly centre: number;
  readonly variance: number;
  readonly margin: number;
  /** The difference in standard deviations that the bet is best for. */
  readonly effect: number;
}

/** Beyond a half the bound by ψ costs more than the bet earns. */
const MOST = 0.5;

/** ψ(l) = −ln(1−l) − l. */
export function psi(l: number): number {
  return -Math.log1p(-l) - l;
}

/** ln e of one block. */
export function boundedBet(a: BoundedSums, b: BoundedSums, bet: BoundedBet): number {
  const { centre, variance, margin, effect } = bet;
  const n = a.n + b.n;
  const sd = Math.sqrt(variance);
  const la = (effect * (b.n / n)) / sd;
  const lb = (effect * (a.n / n)) / sd;
  const scale = Math.min(1, MOST / Math.max(la, lb));
  const stakeA = la * scale;
  const stakeB = lb * scale;
  return (
    stakeA * a.sum -
    stakeB * b.sum -
    stakeA * a.n * margin -
    psi(stakeA) * spread(a, centre) -
    psi(stakeB) * spread(b, centre)
  );
}

/** Σ(x−c)². */
function spread({ n, sum, squares }: BoundedSums, centre: number): number {
  return squares - 2 * centre * sum + n * centre * centre;
}
