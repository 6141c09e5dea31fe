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

/** Outcomes of one side, and those that were bad. */
export interface BadOutcomes {
  readonly finished: number;
  readonly bad: number;
}

/** Evidence that a candidate is worse than a multiple of the baseline; one ln e per rate of {@link breachRates}. */
export interface RelativeState extends BadOutcomes {
  readonly lnE: readonly number[];
  /** Blocks that were bet on. */
  readonly blocks?: number;
  /**
   * `finished` and `bad` are outcomes of the baseline in earlier blocks, but for those in which it failed too often for any
   * bet; here those of each group that is compared by itself.
   */
  readonly groups?: Readonly<Record<string, BadOutcomes>>;
}

export const NO_RELATIVE: RelativeState = {
  lnE: [...MULTIPLES, ...RATES].map(() => 0),
  finished: 0,
  bad: 0,
};

export interface RelativePair {
  readonly candidate: BadOutcomes;
  readonly baseline: BadOutcomes;
}

export interface RelativeBlock extends RelativePair {
  /** Where customers are dealt at random inside groups: the same of each group. Only these are then compared. */
  readonly groups?: Readonly<Record<string, RelativePair>>;
}

/**
 * H0: rate of the candidate ≤ `ratio`·rate of the baseline, in every group. Both are compared within a block only, and
 * within a group: given the past the groups' factors are independent, so that their product is an e-value like each of
 * them. Before each block but the first the bets are begun once more with a new share of the capital, so that a good past
 * does not hide what begins now: e grows to (e + share)·factor, and all shares together are a ninth of the first one.
 */
export function nextRelative(state: RelativeState, block: RelativeBlock, ratio: number): RelativeState {
  const { groups } = block;
  const known = (name: string): BadOutcomes => state.groups?.[name] ?? NO_RELATIVE;
  const next = {
    ...joined(state, block.baseline, ratio),
    ...(groups === undefined
      ? {}
      : {
          groups: Object.fromEntries(
            Object.entries(groups).map(([name, { baseline }]) => [
              name,
              joined(known(name), baseline, ratio),
            ]),
          ),
        }),
  };
  const bets =
    groups === undefined
      ? betsOn(block, state, ratio)
      : Object.entries(groups).flatMap(([name, pair]) => betsOn(pair, known(name), ratio));
  if (bets.length === 0) return { ...state, ...next };
  const blocks = (state.blocks ?? 0) + 1;
  const lnE = state.lnE.map((before, i) => {
    const capital = blocks === 1 ? before : logSum(before, lnShareOf(blocks));
    return bets.reduce((sum, bet) => sum + bet(i), capital);
  });
  return { ...next, lnE, blocks };
}

/** Outcomes of a block below which a few failures are chance, and are learnt from. */
const TELLING = 20;

/** What befell everybody is no measure of the baseline: after it bets would rest until it is forgotten. */
function joined(before: BadOutcomes, { finished, bad }: BadOutcomes, ratio: number): BadOutcomes {
  if (finished >= TELLING && ratio * bad >= finished) return { finished: before.finished, bad: before.bad };
  return { finished: before.finished + finished, bad: before.bad + bad };
}

/** The bet on a pair by what was known of its baseline, a ln e for each rate; none where there is nothing to compare. */
function betsOn(
  { candidate, baseline }: RelativePair,
  before: BadOutcomes,
  ratio: number,
): ((rate: number) => number)[] {
  if (before.finished === 0 || candidate.finished === 0 || baseline.finished === 0) return [];
  const counts: PairCounts = {
    na: candidate.finished,
    sa: candidate.bad,
    nb: baseline.finished,
    sb: baseline.bad,
  };
  const centre = (before.bad + 0.5) / (before.finished + 1);
  const limit = Math.min(ratio * centre, 0.99);
  const rates = breachRates(limit);
  return [
    (i) => {
      const difference = Math.max(1e-6, (rates[i] ?? HIGHEST) - limit);
      return ratioBet(counts, { ratio, margin: 0, centre, difference });
    },
  ];
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
