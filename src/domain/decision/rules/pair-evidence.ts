import { NOTHING, type ArmCounts, type Block } from '../block.ts';
import { isBounded, type AnytimeSpec } from '../rule-spec.ts';
import type { PairEvidence, RuleState } from '../rule-state.ts';
import { blockBet, blockStakes } from '../statistics/block-bet.ts';
import { boundedBet } from '../statistics/bounded-bet.ts';
import { logMeanExp } from '../statistics/mixture.ts';

/** Margins that evidence is kept for: strictly better, at most ε worse, not inferior to the baseline. */
export function marginsOf({ epsilon, nonInferiority }: AnytimeSpec): readonly number[] {
  const margins = [0];
  if (epsilon > 0) margins.push(-epsilon);
  if (nonInferiority !== undefined && nonInferiority > 0 && nonInferiority !== epsilon) {
    margins.push(-nonInferiority);
  }
  return margins;
}

export function noEvidence(spec: AnytimeSpec): readonly PairEvidence[] {
  const versions = spec.arms.map(({ version }) => version);
  const zeros = marginsOf(spec).map(() => spec.grid.map(() => 0));
  return versions.flatMap((a) => versions.filter((b) => b !== a).map((b) => ({ a, b, lnE: zeros })));
}

/**
 * Evidence of every ordered pair after one more block. Centre and spread come from earlier blocks alone (`before`): a
 * bet that had seen its own block would promise nothing. Without an expected rate nothing but these is learned of a
 * group's first block. Groups (strata) are bet on one by one with the same effects, and their ln e added up.
 *
 * Nothing is bet on what a dropped version was assigned before it was taken out of traffic: the windows of its last
 * accounts were cut short then, which no other version's were.
 */
export function nextEvidence(spec: AnytimeSpec, before: RuleState, block: Block): readonly PairEvidence[] {
  const margins = marginsOf(spec);
  return before.pairs.map((pair) => {
    const lnE = pair.lnE.map((row) => [...row]);
    for (const [group, arms] of Object.entries(block.groups)) {
      const sums = before.sums[group] ?? {};
      bet(spec, margins, lnE, {
        a: isCutShort(before, block, pair.a) ? NOTHING : (arms[pair.a] ?? NOTHING),
        b: isCutShort(before, block, pair.b) ? NOTHING : (arms[pair.b] ?? NOTHING),
        sumsA: sums[pair.a] ?? NOTHING,
        sumsB: sums[pair.b] ?? NOTHING,
      });
    }
    return { ...pair, lnE };
  });
}

function isCutShort(
  { dropped, returned = {} }: RuleState,
  { tableVersion }: Block,
  version: string,
): boolean {
  if (Object.hasOwn(dropped, version)) return true;
  const last = returned[version]?.tableVersion;
  return last !== undefined && tableVersion !== undefined && tableVersion <= last;
}

interface PairBlock {
  readonly a: ArmCounts;
  readonly b: ArmCounts;
  readonly sumsA: Required<Pick<ArmCounts, 'n' | 'sum' | 'squares'>>;
  readonly sumsB: Required<Pick<ArmCounts, 'n' | 'sum' | 'squares'>>;
}

function bet(spec: AnytimeSpec, margins: readonly number[], lnE: number[][], pair: PairBlock): void {
  const { a, b, sumsA, sumsB } = pair;
  if (a.n === 0 || b.n === 0) return;
  const isKnown = sumsA.n + sumsB.n > 0 || (spec.expectedRate !== undefined && !isBounded(spec));
  if (!isKnown) return;
  if (isBounded(spec)) betOnAmounts(spec, margins, lnE, pair);
  else betOnSuccesses(spec, margins, lnE, pair);
}

/** Units that the plan's expected rate counts as. */
const EXPECTED_UNITS = 200;

function betOnSuccesses(
  { grid, expectedRate }: AnytimeSpec,
  margins: readonly number[],
  lnE: number[][],
  { a, b, sumsA, sumsB }: PairBlock,
): void {
  const counts = { na: a.n, sa: a.sum, nb: b.n, sb: b.sum };
  const [expected, weight] = expectedRate === undefined ? [0.5, 1] : [expectedRate, EXPECTED_UNITS];
  const centre = (sumsA.sum + sumsB.sum + expected * weight) / (sumsA.n + sumsB.n + weight);
  grid.forEach(({ effect }, h) => {
    const stakes = blockStakes(a.n, b.n, centre, effect);
    margins.forEach((margin, m) => {
      add(lnE, m, h, blockBet(counts, stakes, centre, margin));
    });
  });
}

/** Outcomes that hardly vary would make stakes without bounds. */
const LEAST_VARIANCE = 1e-4;

function betOnAmounts(
  { grid }: AnytimeSpec,
  margins: readonly number[],
  lnE: number[][],
  { a, b, sumsA, sumsB }: PairBlock,
): void {
  const n = sumsA.n + sumsB.n;
  const centre = (sumsA.sum + sumsB.sum) / n;
  const variance = Math.max(LEAST_VARIANCE, (sumsA.squares + sumsB.squares) / n - centre * centre);
  const one = { n: a.n, sum: a.sum, squares: a.squares ?? a.sum };
  const other = { n: b.n, sum: b.sum, squares: b.squares ?? b.sum };
  grid.forEach(({ effect }, h) => {
    margins.forEach((margin, m) => {
      add(lnE, m, h, boundedBet(one, other, { centre, variance, margin, effect }));
    });
  });
}

function add(lnE: number[][], m: number, h: number, more: number): void {
  const row = lnE[m];
  if (row !== undefined) row[h] = (row[h] ?? 0) + more;
}

/** ln e, mixed over the grid, that `a` is better than `b` by more than the margin. */
export type Evidence = (a: string, b: string, margin: number) => number;

export function evidenceIn(spec: AnytimeSpec, { pairs }: Pick<RuleState, 'pairs'>): Evidence {
  const margins = marginsOf(spec);
  const weights = spec.grid.map(({ weight }) => weight);
  const versions = spec.arms.map(({ version }) => version);
  const known = new Map<readonly number[], number>();
  return (a, b, margin) => {
    // In the order of `noEvidence`.
    const [i, j] = [versions.indexOf(a), versions.indexOf(b)];
    const pair = pairs[i * (versions.length - 1) + (j < i ? j : j - 1)];
    const row = pair?.lnE[margins.indexOf(margin)];
    if (row === undefined) return 0;
    const mixed = known.get(row) ?? logMeanExp(row, weights);
    known.set(row, mixed);
    return mixed;
  };
}
