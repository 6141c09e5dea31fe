import { dealtOf, type ArmCounts } from '../block.ts';
import { logMeanExp } from './mixture.ts';
import { lnGamma } from './special-functions.ts';

/**
 * Is the split what was asked for? Both forms are e-processes against "every unit was assigned by these shares", so
 * that they may be looked at after every block.
 */

/** Shares that never change: the Dirichlet-multinomial of Lindon and Malek (2022) on cumulated counts; its ln e. */
export function fixedShareEvidence(
  counts: readonly number[],
  shares: readonly number[],
  concentration: number,
): number {
  const n = counts.reduce((sum, count) => sum + count, 0);
  let lnE = lnGamma(concentration) - lnGamma(concentration + n);
  counts.forEach((count, i) => {
    const share = shares[i] ?? 0;
    lnE += lnGamma(concentration * share + count) - lnGamma(concentration * share) - count * Math.log(share);
  });
  return lnE;
}

/** Units dealt (as `dealtOf` counts them) and expected per arm so far, and the ln e of it. */
export interface SampleRatioState {
  readonly lnE: number;
  readonly seen: Readonly<Record<string, number>>;
  readonly expected: Readonly<Record<string, number>>;
  /** The same for each group that is dealt apart; `lnE` is then of all of them, `seen` and `expected` their sums. */
  readonly groups?: Readonly<Record<string, Pick<SampleRatioState, 'lnE' | 'seen' | 'expected'>>>;
}

export const NO_SAMPLE_RATIO: SampleRatioState = { lnE: 0, seen: {}, expected: {} };

/** Units by which earlier blocks are drawn towards the shares that were asked for. */
const PRIOR_UNITS = 500;

/**
 * Shares that change from block to block: each block is bet on with what earlier blocks showed, q ∝ share·(seen +
 * 500)/(expected + 500). Arms that are not in `shares` take no part; units where a share of 0 was asked for are
 * impossible, and count as infinite evidence.
 */
export function nextSampleRatio(
  state: SampleRatioState,
  counts: Readonly<Record<string, number>>,
  shares: Readonly<Record<string, number>>,
): SampleRatioState {
  const asked = Object.entries(shares);
  const total = asked.reduce((sum, [, share]) => sum + share, 0);
  const n = asked.reduce((sum, [arm]) => sum + (counts[arm] ?? 0), 0);
  if (n === 0 || total <= 0) return state;
  const tilt = (arm: string): number =>
    ((state.seen[arm] ?? 0) + PRIOR_UNITS) / ((state.expected[arm] ?? 0) + PRIOR_UNITS);
  const norm = asked.reduce((sum, [arm, share]) => sum + (share / total) * tilt(arm), 0);
  let { lnE } = state;
  const seen = { ...state.seen };
  const expected = { ...state.expected };
  for (const [arm, share] of asked) {
    const count = counts[arm] ?? 0;
    if (count > 0) lnE += share > 0 ? count * Math.log(tilt(arm) / norm) : IMPOSSIBLE;
    seen[arm] = (seen[arm] ?? 0) + count;
    expected[arm] = (expected[arm] ?? 0) + (n * share) / total;
  }
  return { lnE, seen, expected };
}

/**
 * Groups that are dealt apart: each is checked by itself, and what they show is averaged, which is an e-process again. One
 * group among many whose split is wrong is found after (number of groups) times as much evidence; the others, by whose
 * size it would be hidden in the sums, cannot make up for it.
 */
export function nextGroupRatios(
  state: SampleRatioState,
  counts: Readonly<Record<string, Readonly<Record<string, Pick<ArmCounts, 'n' | 'passed'>>>>>,
  shares: Readonly<Record<string, Readonly<Record<string, number>>>>,
): SampleRatioState {
  const groups = { ...state.groups };
  for (const [group, asked] of Object.entries(shares)) {
    const units = Object.entries(counts[group] ?? {}).map(([arm, each]) => [arm, dealtOf(each)] as const);
    groups[group] = nextSampleRatio(groups[group] ?? NO_SAMPLE_RATIO, Object.fromEntries(units), asked);
  }
  const all = Object.values(groups);
  const sumOf = (of: 'seen' | 'expected'): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const group of all)
      for (const [arm, n] of Object.entries(group[of])) sums[arm] = (sums[arm] ?? 0) + n;
    return sums;
  };
  const lnE = logMeanExp(all.map((group) => group.lnE));
  return { lnE, seen: sumOf('seen'), expected: sumOf('expected'), groups };
}

/** As good as infinite, and still a number in JSON. */
const IMPOSSIBLE = 1e6;
