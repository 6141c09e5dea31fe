/**
 * The block bet on successes: evidence that arm `a` succeeds more often than arm `b` by more than `margin`, from one
 * block of counts. The bet is placed before the block is seen, so that the product over blocks, exp(Σ ln e), is a test
 * supermartingale under H0: p_a − p_b ≤ margin, whatever happened before: any block sizes, shares that follow the data,
 * and a rate that moves for both arms from block to block. By Ville's inequality it passes 1/α with probability ≤ α.
 *
 * Why E[e] ≤ 1: given the past the n = na+nb factors are independent, and the geometric mean is at most the
 * arithmetic one, so E[e] ≤ (1 + [na·la·(p_a−c−margin) − nb·lb·(p_b−c)]/n)ⁿ. As na·la = nb·lb the bracket is
 * na·la·(p_a−p_b−margin) ≤ 0. For margin 0 this is the block form of Turner, Ly and Grünwald (2024). Outcomes between
 * 0 and 1 (the share of an account's requests that succeeded) may be summed up as successes: the logarithm is concave.
 */

export interface PairCounts {
  /** Units assigned to each arm in the block. */
  readonly na: number;
  readonly nb: number;
  /** Successes among them. */
  readonly sa: number;
  readonly sb: number;
}

export interface Stakes {
  readonly la: number;
  readonly lb: number;
}

/** Most of the capital that one unit may lose. */
const MOST = 0.9;

/**
 * How much is bet on a unit of each arm. `centre` is the common rate as earlier blocks show it, `effect` the difference
 * in standard deviations that the bet is best for. The same stakes serve every margin ≤ 0.
 */
export function blockStakes(na: number, nb: number, centre: number, effect: number): Stakes {
  const sd = Math.sqrt(centre * (1 - centre));
  const n = na + nb;
  const la = (effect * (nb / n)) / sd;
  const lb = (effect * (na / n)) / sd;
  const scale = Math.min(1, MOST / (la * centre), MOST / (lb * (1 - centre)));
  return { la: la * scale, lb: lb * scale };
}

/** ln e of one block, for stakes that {@link blockStakes} gave for this centre. `margin` is ≤ 0. */
export function blockBet(counts: PairCounts, { la, lb }: Stakes, centre: number, margin: number): number {
  const { na, sa, nb, sb } = counts;
  const shifted = centre + margin;
  return (
    sa * Math.log1p(la * (1 - shifted)) +
    (na - sa) * Math.log1p(-la * shifted) +
    sb * Math.log1p(-lb * (1 - centre)) +
    (nb - sb) * Math.log1p(lb * centre)
  );
}

export interface RatioBound {
  /** H0: p_a ≤ ratio·p_b + margin. */
  readonly ratio: number;
  readonly margin: number;
  /** The rate of `b` as earlier blocks show it. */
  readonly centre: number;
  /** The difference p_a − ratio·p_b − margin that the bet is best for; more than 0. */
  readonly difference: number;
}

/**
 * The same with a ratio: ln e of one block against H0 p_a ≤ ratio·p_b + margin, with ratio > 0 and margin ≥ 0. Where H0
 * allows any rate of `a` by what earlier blocks show, nothing is bet: no centre of `a` would cancel that of `b`.
 */
export function ratioBet(counts: PairCounts, bound: RatioBound): number {
  const { na, nb } = counts;
  const { ratio, margin, centre, difference } = bound;
  const centreA = ratio * centre + margin;
  if (centreA >= 1) return 0;
  const share = na / nb;
  const variance = centreA * (1 - centreA) + ratio * ratio * centre * (1 - centre) * share;
  const la = difference / variance;
  const lb = ratio * la * share;
  const scale = Math.min(1, MOST / (la * centreA), MOST / (lb * (1 - centre)));
  return blockBet(counts, { la: la * scale, lb: lb * scale }, centre, centreA - centre);
}
