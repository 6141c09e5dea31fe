import { logMeanExp } from './mixture.ts';
import { ratioBet, type PairCounts } from './block-bet.ts';

/** Rates that a breach may have, as multiples of the limit and as such. */
const MULTIPLES = [1.5, 2, 3, 5, 10];
const RATES = [0.3, 0.6, 0.95];
const HIGHEST = 0.97;

/** The rates of bad outcomes that the evidence is looked for at; all above the limit, or it would be no evidence. */
export function breachRates(limit: number): readonly number[] {
  const highest = Math.max(HIGHEST, (1 + limit) / 2);
  const multiples = MULTIPLES.map((multiple) => Math.min(multiple * limit, highest));
  const rates = RATES.map((rate) => (rate <= 1.2 * limit ? Math.min(1.5 * limit, highest) : rate));
  return [...multiples, ...rates];
}

/**
 * ln e against "bad outcomes happen at a rate of at most `limit`" (0 < limit < 1), from all outcomes so far: `bad` of
 * `finished`. A mixture of likelihood ratios, so that it may be looked at after every request; it passes 1/α with
 * probability ≤ α while the limit is kept. At a limit of 1 % it passes 1000 after two failures of two requests.
 */
export function ceilingEvidence(bad: number, finished: number, limit: number): number {
  return logMeanExp(
    breachRates(limit).map(
      (rate) => bad * Math.log(rate / limit) + (finished - bad) * (Math.log1p(-rate) - Math.log1p(-limit)),
    ),
  );
}

/** Evidence that a candidate is worse than a multiple of the baseline; one ln e per rate of {@link breachRates}. */
export interface RelativeState {
  readonly lnE: readonly number[];
  /** Outcomes of the baseline in earlier blocks, but for those in which it failed too often for any bet. */
  readonly finished: number;
  readonly bad: number;
  /** Blocks that were bet on. */
  readonly blocks?: number;
}

export const NO_RELATIVE: RelativeState = {
  lnE: [...MULTIPLES, ...RATES].map(() => 0),
  finished: 0,
  bad: 0,
};

export interface RelativeBlock {
  readonly candidate: { readonly finished: number; readonly bad: number };
  readonly baseline: { readonly finished: number; readonly bad: number };
}

/**
 * H0: rate of the candidate ≤ `ratio`·rate of the baseline. Both are compared within a block only. Before each block but
 * the first the bets are begun once more with a new share of the capital, so that a good past does not hide what begins
 * now: e grows to (e + share)·factor, and all shares together are a ninth of the first one.
 */
export function nextRelative(state: RelativeState, block: RelativeBlock, ratio: number): RelativeState {
  const { candidate, baseline } = block;
  // What befell everybody is no measure of the baseline: after it bets would rest until it is forgotten.
  const isMeasure = ratio * baseline.bad < baseline.finished;
  const next = isMeasure
    ? { finished: state.finished + baseline.finished, bad: state.bad + baseline.bad }
    : { finished: state.finished, bad: state.bad };
  if (state.finished === 0 || candidate.finished === 0 || baseline.finished === 0) {
    return { ...state, ...next };
  }
  const counts: PairCounts = {
    na: candidate.finished,
    sa: candidate.bad,
    nb: baseline.finished,
    sb: baseline.bad,
  };
  const centre = (state.bad + 0.5) / (state.finished + 1);
  const limit = Math.min(ratio * centre, 0.99);
  const rates = breachRates(limit);
  const blocks = (state.blocks ?? 0) + 1;
  const lnE = state.lnE.map((before, i) => {
    const difference = Math.max(1e-6, (rates[i] ?? HIGHEST) - limit);
    const capital = blocks === 1 ? before : logSum(before, lnShareOf(blocks));
    return capital + ratioBet(counts, { ratio, margin: 0, centre, difference });
  });
  return { lnE, ...next, blocks };
}

/** Beside a first share of 1: a ninth, divided among the blocks from the second on as 1/(n·ln²n). */
function lnShareOf(block: number): number {
  const left = (n: number): number => 1 / (1 + Math.log(n));
  return Math.log((left(block - 1) - left(block)) / 9);
}

function logSum(a: number, b: number): number {
  const greatest = Math.max(a, b);
  return greatest + Math.log1p(Math.exp(Math.min(a, b) - greatest));
}

/** ln e, of a capital that is 1 in all. */
export function relativeEvidence({ lnE }: RelativeState): number {
  return logMeanExp(lnE) - Math.log(1 + 1 / 9);
}
