import { NOTHING, type ArmCounts, type Block, type Sums } from '../block.ts';
import { isBounded, type AnytimeSpec } from '../rule-spec.ts';
import { survivorsOf, totalsOf, type LedEvidence, type PairEvidence, type RuleState } from '../rule-state.ts';
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

/** The bets of the version in front, as far as the rule uses them. */
export function noLedEvidence(spec: AnytimeSpec): readonly LedEvidence[] {
  if (spec.against === 'pooled') return [];
  const versions = spec.arms.map(({ version }) => version);
  const lnE = spec.grid.map(() => 0);
  return versions.flatMap((b) => [
    { a: null, b, lnE },
    ...(spec.epsilon > 0 ? versions.filter((a) => a !== b).map((a) => ({ a, b, lnE })) : []),
  ]);
}

/**
 * Evidence after one more block. Centre, spread and who is in front come from earlier blocks alone (`before`): a bet
 * that had seen its own block would promise nothing. Without an expected rate nothing but these is learned of a group's
 * first block. Groups (strata) are bet on one by one with the same effects, and their ln e added up.
 */
export function nextEvidence(
  spec: AnytimeSpec,
  before: RuleState,
  block: Block,
): Pick<RuleState, 'pairs' | 'led'> {
  const margins = marginsOf(spec);
  const brought = new Map<string, readonly (readonly number[])[]>();
  const pairs = before.pairs.map((pair) => {
    const more = margins.map(() => spec.grid.map(() => 0));
    for (const [group, arms] of Object.entries(block.groups)) {
      const sums = before.sums[group] ?? {};
      bet(spec, margins, more, {
        a: arms[pair.a] ?? NOTHING,
        b: arms[pair.b] ?? NOTHING,
        sumsA: sums[pair.a] ?? NOTHING,
        sumsB: sums[pair.b] ?? NOTHING,
      });
    }
    brought.set(key(pair.a, pair.b), more);
    return { ...pair, lnE: pair.lnE.map((row, m) => row.map((lnE, h) => lnE + (more[m]?.[h] ?? 0))) };
  });
  const totals = totalsOf(before);
  const left = survivorsOf(spec, before);
  const led = before.led.map((one) => {
    const leader = inFront(left, totals, one.b);
    const more = brought.get(key(leader ?? '', one.b))?.[one.a !== null && one.a === leader ? 1 : 0];
    return more === undefined ? one : { ...one, lnE: one.lnE.map((lnE, h) => lnE + (more[h] ?? 0)) };
  });
  return { pairs, led };
}

function key(a: string, b: string): string {
  return `${a}\n${b}`;
}

/** The version with the greatest mean but `b`; the first one where they are equal, or nothing is known. */
function inFront(left: readonly string[], totals: Sums, b: string): string | undefined {
  const mean = (version: string): number => {
    const { n, sum } = totals[version] ?? NOTHING;
    return n === 0 ? 0 : sum / n;
  };
  return left
    .filter((version) => version !== b)
    .reduce<string | undefined>(
      (best, version) => (best === undefined || mean(version) > mean(best) ? version : best),
      undefined,
    );
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

/** ln e, mixed over the grid. */
export interface Evidence {
  /** That `a` is better than `b` by more than the margin. */
  readonly ofPair: (a: string, b: string, margin: number) => number;
  /** Of the version in front against `b`; with `a` as {@link LedEvidence} has it. */
  readonly led: (b: string, a: string | null) => number;
}

export function evidenceIn(spec: AnytimeSpec, { pairs, led }: Pick<RuleState, 'pairs' | 'led'>): Evidence {
  const margins = marginsOf(spec);
  const weights = spec.grid.map(({ weight }) => weight);
  return {
    ofPair: (a, b, margin) => {
      const row = pairs.find((pair) => pair.a === a && pair.b === b)?.lnE[margins.indexOf(margin)];
      return row === undefined ? 0 : logMeanExp(row, weights);
    },
    led: (b, a) => {
      const wanted = spec.epsilon > 0 ? a : null;
      const row = led.find((one) => one.a === wanted && one.b === b)?.lnE;
      return row === undefined ? 0 : logMeanExp(row, weights);
    },
  };
}
