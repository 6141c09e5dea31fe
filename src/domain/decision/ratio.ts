/**
 * Efficacies as rationals. Two of them are compared by cross-multiplication of whole numbers, so that a tie is a tie
 * and the decision does not hang on the last bit of a division.
 */

/** Sums of decimals are kept in floating point; below a ten-thousandth of a unit they say nothing. */
const UNITS = 10_000;

export interface Ratio {
  readonly volume: number;
  /** More than 0. */
  readonly allocated: number;
}

/** Negative where `a` is less than `b`, 0 where they are equal, positive where it is greater. */
export function compareRatios(a: Ratio, b: Ratio): number {
  const left = inUnits(a.volume) * inUnits(b.allocated);
  const right = inUnits(b.volume) * inUnits(a.allocated);
  return left < right ? -1 : left > right ? 1 : 0;
}

function inUnits(value: number): bigint {
  return BigInt(Math.round(value * UNITS));
}
