import { ChangeoverError } from '../errors.ts';
import { EVERYONE, faultOf, ROUNDING, type ArmCounts, type Block } from './block.ts';

/** What a metrics source counted of each version since the trial began. */
export interface MetricsReading {
  /** Up to when it counted, ISO 8601. */
  readonly at: string;
  /**
   * Version → counts since the trial began. Outcomes are between 0 and 1 each; for amounts and clicks without a cap
   * they are what they are, and no block can be made of them.
   */
  readonly arms: Readonly<Record<string, ArmCounts>>;
  /** What a person should know of this reading, one sentence each. */
  readonly notes: readonly string[];
}

/** Readings are of whole trials; a block is of what came between two of them. */
export type SourceStretch =
  | { readonly kind: 'block'; readonly block: Block }
  /** Keep the earlier reading, and try again with the next one. */
  | { readonly kind: 'wait'; readonly reason: string };

/**
 * The block between two consecutive readings of one trial.
 *
 * Where a source counts units and outcomes at different moments, a short stretch may hold more outcomes than units: that
 * is no block yet, and the answer is `wait`.
 *
 * @param options.shares version → share that was asked for in the whole stretch
 * @throws ChangeoverError `MetricsUnusable` where a counter fell or a version is not in both readings; names both values
 */
export function sourceBlock(
  before: MetricsReading,
  after: MetricsReading,
  options: {
    readonly since: string;
    readonly shares?: Readonly<Record<string, number>>;
    readonly tableVersion?: number;
  },
): SourceStretch {
  const { since, shares, tableVersion } = options;
  const fromMs = Date.parse(before.at) - Date.parse(since);
  const toMs = Date.parse(after.at) - Date.parse(since);
  if (!(fromMs >= 0 && toMs >= fromMs)) {
    throw unusable(
      `it counted to ${after.at} after it had counted to ${before.at}, in a trial that began ${since}; it must go on in time`,
    );
  }
  if (toMs === fromMs) return { kind: 'wait', reason: `Nothing was counted after ${before.at} yet.` };
  const arms: Record<string, ArmCounts> = {};
  for (const version of new Set([...Object.keys(before.arms), ...Object.keys(after.arms)])) {
    const counts = grownSince(version, before.arms[version], after.arms[version]);
    const fault = faultOf(counts);
    if (fault !== undefined) {
      const reason = `From ${before.at} to ${after.at} version ${version} must ${fault}: some came later than their units. The stretch is read on.`;
      return { kind: 'wait', reason };
    }
    arms[version] = counts;
  }
  const block: Block = {
    fromMs,
    toMs,
    ...(tableVersion === undefined ? {} : { tableVersion }),
    ...(shares === undefined ? {} : { shares }),
    groups: { [EVERYONE]: arms },
  };
  return { kind: 'block', block };
}

/**
 * What came between two readings of one trial.
 *
 * @throws ChangeoverError `MetricsUnusable` where a counter fell or the version is not in both; names both values
 */
export function grownSince(
  version: string,
  before: ArmCounts | undefined,
  after: ArmCounts | undefined,
): ArmCounts {
  if (before === undefined || after === undefined) {
    throw unusable(`version ${version} is in one of two consecutive readings only; it must be in each`);
  }
  const grown = (name: string, from: number, to: number): number => {
    if (Number.isFinite(from) && Number.isFinite(to) && from >= 0 && to >= from - ROUNDING)
      return Math.max(0, to - from);
    throw unusable(
      `${name} of version ${version} went from ${from} to ${to}; they are counted since the trial began and must never fall`,
    );
  };
  return {
    n: grown('units', before.n, after.n),
    sum: grown('outcomes', before.sum, after.sum),
    ...(before.squares === undefined || after.squares === undefined
      ? {}
      : { squares: grown('squares of the outcomes', before.squares, after.squares) }),
    // Shown only, and a refund may be greater than what was sold meanwhile.
    ...(before.uncapped === undefined || after.uncapped === undefined
      ? {}
      : { uncapped: after.uncapped - before.uncapped }),
  };
}

function unusable(why: string): ChangeoverError {
  return new ChangeoverError(
    'MetricsUnusable',
    `The metrics source cannot be used: ${why}. Mend the source, or start a new trial.`,
  );
}
