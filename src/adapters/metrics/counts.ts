import { leastSquares, ROUNDING, type ArmCounts } from '../../domain/decision/block.ts';
import type { VolumeKind } from '../../domain/measure.ts';
import { unusable } from './unusable.ts';

/** How outcomes are counted: with a cap they are divided by it, so that each is between 0 and 1. */
export interface OutcomeScale {
  readonly kind: VolumeKind;
  readonly cap?: number | undefined;
}

/** Outcomes are 0 or 1, or have a cap: added up and scaled they cannot be more than units. */
export function isBounded(kind: VolumeKind, cap: number | undefined): boolean {
  return cap !== undefined || kind === 'successes' || kind === 'trades';
}

/** What a source says of one version, in its own units; outcomes are capped by it one by one where there is a cap. */
export interface RawCounts {
  readonly n: number;
  readonly sum: number;
  readonly squares?: number | undefined;
  readonly uncapped?: number | undefined;
}

/**
 * Counts of one version, with outcomes between 0 and 1 where they are bounded.
 * @throws ChangeoverError `MetricsUnusable` where numbers cannot be
 */
export function scaledCounts(
  source: string,
  version: string,
  raw: RawCounts,
  { cap, kind }: OutcomeScale,
): ArmCounts {
  const of = `of version ${version}`;
  const checked = (name: string, value: number): number => {
    if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
    throw unusable(
      source,
      `${name} ${of} held ${value}, and must be a number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    );
  };
  const scale = cap ?? 1;
  const n = checked('units', raw.n);
  const sum = checked('outcomes', raw.sum) / scale;
  if (isBounded(kind, cap) && sum > n + ROUNDING) {
    const capped = cap === undefined ? '' : ` (${raw.sum} divided by the cap, ${cap})`;
    throw unusable(
      source,
      `outcomes ${of} held ${sum}${capped} and units ${n}, and must not be more than units`,
    );
  }
  if (raw.uncapped !== undefined) checked('outcomes before they were capped', raw.uncapped);
  const shown = raw.uncapped === undefined ? {} : { uncapped: raw.uncapped };
  if (raw.squares !== undefined) {
    const squares = checked('squares of the outcomes', raw.squares) / (scale * scale);
    if (isBounded(kind, cap) && squares > sum + ROUNDING) {
      throw unusable(
        source,
        `squares of the outcomes ${of} held ${raw.squares} and outcomes ${raw.sum}; divided by the cap ${scale} twice they must not be more than outcomes divided by it once`,
      );
    }
    const least = leastSquares(n, sum);
    if (squares < least) {
      throw unusable(
        source,
        `squares of the outcomes ${of} held ${raw.squares}, and must be at least ${least * scale * scale}: ${n} units with outcomes of ${raw.sum} cannot have less. They are squares of what was capped, not divided by the cap`,
      );
    }
    return { n, sum, squares, ...shown };
  }
  return { n, sum, ...shown };
}

/**
 * The one entry of each version that was asked for, by the name that the source has for it.
 *
 * @throws ChangeoverError `MetricsUnusable` for a missing version, and for one that is there twice
 */
export function onePerArm<T>(
  source: string,
  what: string,
  arms: readonly string[],
  options: {
    readonly names: Readonly<Record<string, string>> | undefined;
    readonly entries: readonly { readonly name: string; readonly value: T }[];
  },
): Record<string, T> {
  const { names = {}, entries } = options;
  const found: Record<string, T> = {};
  for (const version of arms) {
    const name = names[version] ?? version;
    const own = entries.filter((entry) => entry.name === name);
    const [first] = own;
    const called = name === version ? '' : ` (there: ${name})`;
    if (first === undefined) {
      const held = [...new Set(entries.map((entry) => entry.name))].slice(0, 8).join(', ');
      throw unusable(
        source,
        `${what} has nothing of version ${version}${called}, it held ${held === '' ? 'nothing at all' : held}; every version must be there, with 0 where nothing was counted`,
      );
    }
    if (own.length > 1) {
      throw unusable(
        source,
        `${what} has ${own.length} entries of version ${version}${called}, and must have one; add them up there`,
      );
    }
    found[version] = first.value;
  }
  return found;
}
