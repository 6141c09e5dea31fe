import { ChangeoverError } from '../errors.ts';

/** What became of the units (requests, or accounts) that one version was assigned in a block. */
export interface ArmCounts {
  /** Units assigned. */
  readonly n: number;
  /**
   * Outcomes added up, each between 0 and 1: successes; or amounts and clicks, capped and divided by the cap one by
   * one. Of an account that counts once it is the share of its requests that succeeded.
   */
  readonly sum: number;
  /** Squares of the outcomes added up; for successes that are 0 or 1 the same as `sum`, and left out. */
  readonly squares?: number;
  /** The same outcomes before they were capped, for display: an amount, or clicks. */
  readonly uncapped?: number;
  /**
   * Accounts that were dealt to the version as well and never entered, for nobody of it could take them: they are no
   * evidence of what it is worth, and belong to the split all the same. Absent where that is not known.
   */
  readonly passed?: number;
}

/**
 * Differences of counters over a stretch in which one route table was in effect and no gateway began to count anew.
 * Versions are compared within a block only, never across: what moves all of them (the hour, a campaign) cancels out.
 */
export interface Block {
  /** Milliseconds since the trial began. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly tableVersion?: number;
  /** Gateway → epoch of its counters, for who audits the blocks. */
  readonly epochs?: Readonly<Record<string, string>>;
  /**
   * Version, or several joined by ` + `, → share that was asked for, or that the gateways dealt where another source
   * counts; without it the split of this block is not checked.
   */
  readonly shares?: Readonly<Record<string, number>>;
  /** Where groups are dealt apart: group → version → share that was asked for, instead of `shares`. */
  readonly sharesByGroup?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Accounts went elsewhere for want of a server, and `passed` is not known: who was dealt where cannot be told any more. */
  readonly unchecked?: true;
  /** Group (one, or one per stratum of a segment policy) → version → counts. */
  readonly groups: Readonly<Record<string, Readonly<Record<string, ArmCounts>>>>;
}

/** The group of a block whose traffic is split at random as a whole. */
export const EVERYONE = 'all';

export const NOTHING: ArmCounts & { squares: number } = { n: 0, sum: 0, squares: 0 };

/**
 * Counters that cannot be are no evidence.
 *
 * @throws ChangeoverError `InvalidRequest` that names the version and what it held.
 */
export function assertBlock({ fromMs, toMs, groups }: Block): void {
  if (!(fromMs >= 0 && toMs >= fromMs)) {
    throw new ChangeoverError(
      'InvalidRequest',
      `A block must not end before it begins: ${fromMs} to ${toMs} ms.`,
    );
  }
  for (const [group, arms] of Object.entries(groups)) {
    for (const [version, counts] of Object.entries(arms)) {
      const fault = faultOf(counts) ?? faultOfPassed(counts.passed ?? 0);
      if (fault === undefined) continue;
      const where = group === EVERYONE ? version : `${version} in group ${group}`;
      throw new ChangeoverError('InvalidRequest', `A block's counts of ${where} must ${fault}.`);
    }
  }
}

/** Sums of floating-point amounts may pass their bounds by this much. */
export const ROUNDING = 1e-6;

/**
 * What counts cannot be, as the end of a sentence with "must"; undefined where they can. Squares are at least what
 * outcomes that are all alike have: with less, evidence would come from nothing.
 */
export function faultOf({ n, sum, squares = sum }: ArmCounts): string | undefined {
  if (!Number.isFinite(n) || n < 0) return `have units that are a number from 0, they held ${n}`;
  if (!Number.isFinite(sum) || sum < 0) return `have outcomes that are a number from 0, they held ${sum}`;
  if (sum > n + ROUNDING) return `not have more outcomes than units, they held ${sum} of ${n}`;
  if (!Number.isFinite(squares) || squares < 0 || squares > sum + ROUNDING) {
    return `have squares between 0 and their outcomes, they held ${squares} of ${sum}`;
  }
  if (squares < leastSquares(n, sum)) {
    return `have squares of at least ${leastSquares(n, sum)}, as ${n} units with outcomes of ${sum} do, they held ${squares}`;
  }
  return undefined;
}

/** Of `n` outcomes that add up to `sum`: (Σx)² ≤ n·Σx² (Cauchy and Schwarz), but for rounding. */
export function leastSquares(n: number, sum: number): number {
  return n === 0 ? 0 : Math.max(0, (sum * sum * (1 - ROUNDING)) / n - ROUNDING);
}

function faultOfPassed(passed: number): string | undefined {
  return Number.isFinite(passed) && passed >= 0
    ? undefined
    : `have passed accounts that are a number from 0, they held ${passed}`;
}

/** Units that were dealt to a version, whether or not they entered. */
export function dealtOf({ n, passed = 0 }: Pick<ArmCounts, 'n' | 'passed'>): number {
  return n + passed;
}

export type Sums = Readonly<
  Record<string, { readonly n: number; readonly sum: number; readonly squares: number }>
>;

/** Sums per version with another block's counts added. */
export function added(sums: Sums, counts: Readonly<Record<string, ArmCounts>>): Sums {
  const next: Record<string, Sums[string]> = { ...sums };
  for (const [version, { n, sum, squares = sum }] of Object.entries(counts)) {
    const before = next[version] ?? NOTHING;
    next[version] = { n: before.n + n, sum: before.sum + sum, squares: before.squares + squares };
  }
  return next;
}
