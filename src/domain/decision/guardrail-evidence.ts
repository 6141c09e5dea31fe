import { firstWeight, type Stretch } from './guardrail-starts.ts';
import {
  ceilingEvidence,
  nextRelative,
  NO_RELATIVE,
  relativeEvidence,
  type RelativePair,
  type RelativeState,
} from './statistics/ceiling.ts';

/**
 * Guardrails as tests that hold at every reading: a candidate that keeps its bounds is pulled with probability ≤ alpha
 * per guardrail, however often it is looked at. Outcomes are those of business assigned since the guardrails were armed,
 * each counted when it ended or timed out: counted as answers come in, quick failures of a slow version would stand for
 * all of its business.
 */
export interface GuardrailBounds {
  /** Highest share (0..1) of failures. */
  readonly errorCeiling?: number;
  /** Requests below which that is not judged, whatever the evidence. */
  readonly errorFloor?: number;
  /** Highest share (0..1) of responses slower than the plan's bound. */
  readonly slowCeiling?: number;
  readonly slowFloor?: number;
  /** Failures at most this many times as frequent as the baseline's. */
  readonly errorRatio?: number;
  /** Transactions (or amount) that may be lost against the baseline. */
  readonly lossBudget?: number;
  /** P(a healthy candidate is pulled) ≤ alpha, for each guardrail and candidate. */
  readonly alpha: number;
}

export const DEFAULT_ALPHA = 0.001;

/** What ended between two readings. */
export interface OutcomeCounts {
  readonly finished: number;
  readonly errors: number;
  readonly slow: number;
  /** Units assigned, and transactions or amount that came of them, for the loss budget. */
  readonly units?: number;
  readonly volume?: number;
}

/** Units and what came of them since the guardrails were armed, of a candidate and of the baseline. */
export interface LossState {
  readonly candidate: { readonly units: number; readonly volume: number };
  readonly baseline: { readonly units: number; readonly volume: number };
}

/** Plain JSON. */
export interface GuardrailState {
  readonly candidate: Pick<OutcomeCounts, 'finished' | 'errors' | 'slow'>;
  readonly baseline: Pick<OutcomeCounts, 'finished' | 'errors' | 'slow'>;
  readonly relative: RelativeState;
  readonly loss: LossState;
  /** ln of the share of the capital that is bet on `candidate`; by default that of the first arming. */
  readonly lnWeight?: number;
  /** What came since later readings, for a candidate that begins to fail after a good time. */
  readonly since?: readonly Stretch[];
}

const NONE = { finished: 0, errors: 0, slow: 0 };
const NO_UNITS = { units: 0, volume: 0 };
const NO_LOSS: LossState = { candidate: NO_UNITS, baseline: NO_UNITS };
export const UNWATCHED: GuardrailState = {
  candidate: NONE,
  baseline: NONE,
  relative: NO_RELATIVE,
  loss: NO_LOSS,
};

/** What ended of the candidate and of the baseline, over the same time. */
export interface OutcomePair {
  readonly candidate: OutcomeCounts;
  readonly baseline: OutcomeCounts;
}

/** One reading more. `groups`: the same of each group of customers that is dealt at random, where the policy names such. */
export function watched(
  state: GuardrailState,
  block: OutcomePair & { readonly groups?: Readonly<Record<string, OutcomePair>> },
  { errorRatio }: GuardrailBounds,
): GuardrailState {
  const { candidate, baseline, groups } = block;
  const failures = Object.entries(groups ?? {}).map(([name, pair]) => [name, failuresIn(pair)] as const);
  const compared = groups === undefined ? {} : { groups: Object.fromEntries(failures) };
  return {
    candidate: sum(state.candidate, candidate),
    baseline: sum(state.baseline, baseline),
    relative:
      errorRatio === undefined
        ? state.relative
        : nextRelative(state.relative, { ...failuresIn(block), ...compared }, errorRatio),
    loss: {
      candidate: more(state.loss.candidate, candidate),
      baseline: more(state.loss.baseline, baseline),
    },
  };
}

function failuresIn({ candidate, baseline }: OutcomePair): RelativePair {
  return {
    candidate: { finished: candidate.finished, bad: candidate.errors },
    baseline: { finished: baseline.finished, bad: baseline.errors },
  };
}

function sum(a: typeof NONE, b: OutcomeCounts): typeof NONE {
  return { finished: a.finished + b.finished, errors: a.errors + b.errors, slow: a.slow + b.slow };
}

function more(
  before: LossState['candidate'],
  { units = 0, volume = 0 }: OutcomeCounts,
): LossState['candidate'] {
  return { units: before.units + units, volume: before.volume + volume };
}

/**
 * What the candidate's units would have brought at the baseline's efficacy, less what they did; negative for a gain. From
 * totals: within one reading outcomes belong to units of earlier ones, and their ratio says too much.
 */
export function lostOf({ candidate, baseline }: LossState): number {
  return baseline.units === 0 ? 0 : (candidate.units * baseline.volume) / baseline.units - candidate.volume;
}

export type GuardrailKind = 'errors' | 'slow' | 'errorsAgainstBaseline' | 'lossBudget';

/**
 * `environment`: the baseline breaches as well, so nobody is blamed; shares stay as they are and the operator is told.
 * `holds` includes that too little is known yet: only evidence pulls.
 */
export type GuardrailFinding =
  | { readonly kind: 'holds' }
  | { readonly kind: 'breach'; readonly guardrail: GuardrailKind; readonly reason: string }
  | { readonly kind: 'environment'; readonly guardrail: GuardrailKind; readonly reason: string };

/**
 * What the evidence says of one candidate. `recent` are outcomes of the baseline over stretches of time that end now: what
 * befalls everybody shows there at once, while a long good past of the baseline hides it.
 */
export function assessEvidence(
  state: GuardrailState,
  bounds: GuardrailBounds,
  recent: readonly Outcomes[] = [],
): GuardrailFinding {
  const threshold = Math.log(1 / bounds.alpha);
  const { candidate, baseline, relative } = state;
  const lost = lostOf(state.loss);
  const findings = ceilingsOf(bounds).flatMap((ceiling): Exclude<GuardrailFinding, { kind: 'holds' }>[] => {
    if (candidate.finished < ceiling.floor) return [];
    const worst = beyond(state, ceiling, threshold);
    return worst === undefined ? [] : [blamed(ceiling, worst)];
  });
  function blamed(ceiling: Ceiling, worst: Outcomes): Exclude<GuardrailFinding, { kind: 'holds' }> {
    const { guardrail, field, limit, what } = ceiling;
    const of = worst === candidate ? '' : 'the last ';
    const reason = `${worst[field]} of ${of}${worst.finished} requests ${what}, allowed are ${percent(limit)}`;
    // What fails twice as often as the baseline is to blame in a bad environment, too.
    const share = worst[field] / worst.finished;
    const alike = breachedToo([baseline, ...recent], ceiling, share / 2);
    if (alike === undefined) return { kind: 'breach', guardrail, reason };
    const both = `${reason}; the baseline: ${alike[field]} of ${alike.finished}. It is the environment, not the version`;
    return { kind: 'environment', guardrail, reason: both };
  }
  const breach = findings.find(({ kind }) => kind === 'breach');
  if (breach !== undefined) return breach;
  // A candidate that does worse than the baseline in a bad environment is to blame for that.
  if (bounds.errorRatio !== undefined && relativeEvidence(relative) >= threshold) {
    const byGroup = relative.groups === undefined ? '' : ', compared group by group';
    const reason = `${candidate.errors} of ${candidate.finished} requests failed, more than ${bounds.errorRatio} times as many as the baseline's ${baseline.errors} of ${baseline.finished}${byGroup}`;
    return { kind: 'breach', guardrail: 'errorsAgainstBaseline', reason };
  }
  if (bounds.lossBudget !== undefined && lost >= bounds.lossBudget) {
    const reason = `about ${Math.round(lost)} lost against the baseline, the budget is ${bounds.lossBudget}`;
    return { kind: 'breach', guardrail: 'lossBudget', reason };
  }
  return findings[0] ?? { kind: 'holds' };
}

export type Outcomes = Pick<OutcomeCounts, 'finished' | 'errors' | 'slow'>;

/** Whether the baseline, over one of these stretches, is beyond a ceiling. */
export function baselineBreaches(stretches: readonly Outcomes[], bounds: GuardrailBounds): boolean {
  return ceilingsOf(bounds).some((ceiling) => breachedToo(stretches, ceiling) !== undefined);
}

/** The stretch that shows it best that a ceiling is broken, where all of them together have shown it. */
function beyond(
  { candidate, since = [], lnWeight = firstWeight(0) }: GuardrailState,
  { field, limit }: Ceiling,
  threshold: number,
): Outcomes | undefined {
  const shown = [{ ...candidate, lnWeight }, ...since].map(
    (one) => one.lnWeight + ceilingEvidence(one[field], one.finished, limit),
  );
  // Told by the whole where that is enough.
  if ((shown[0] ?? -Infinity) >= threshold) return candidate;
  const greatest = Math.max(...shown);
  const sum = shown.reduce((total, lnE) => total + Math.exp(lnE - greatest), 0);
  if (greatest + Math.log(sum) < threshold) return undefined;
  const at = shown.indexOf(greatest);
  return at === 0 ? candidate : since[at - 1];
}

interface Ceiling {
  readonly guardrail: 'errors' | 'slow';
  readonly field: 'errors' | 'slow';
  readonly limit: number;
  readonly floor: number;
  readonly what: string;
}

function ceilingsOf({ errorCeiling, errorFloor, slowCeiling, slowFloor }: GuardrailBounds): Ceiling[] {
  const ceilings: (Omit<Ceiling, 'limit'> & { limit: number | undefined })[] = [
    { guardrail: 'errors', field: 'errors', limit: errorCeiling, floor: errorFloor ?? 0, what: 'failed' },
    { guardrail: 'slow', field: 'slow', limit: slowCeiling, floor: slowFloor ?? 0, what: 'were too slow' },
  ];
  return ceilings.flatMap((one) =>
    one.limit === undefined || one.limit >= 1 ? [] : [{ ...one, limit: Math.max(one.limit, LEAST_LIMIT) }],
  );
}

/** Where nothing at all is allowed one failure is enough. */
const LEAST_LIMIT = 1e-6;

/**
 * To clear the candidate of blame it takes less than to blame it: evidence of 20, times the number of stretches that are
 * looked at, and a rate beyond the limit.
 */
function breachedToo(
  stretches: readonly Outcomes[],
  { field, limit }: Ceiling,
  leastShare = 0,
): Outcomes | undefined {
  const threshold = Math.log(20 * stretches.length);
  return stretches.find(
    (one) =>
      one.finished > 0 &&
      one[field] / one.finished > Math.max(limit, leastShare) &&
      ceilingEvidence(one[field], one.finished, limit) >= threshold,
  );
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`;
}

/** What a reading says of whether there is anything to judge by. */
export interface Liveness {
  /** When the counters were last read, and last grew, in milliseconds of the reader's clock. */
  readonly readAtMs: number;
  readonly grewAtMs: number;
  /** Whether traffic is meant to come: the share is above 0 and the release is not pulled. */
  readonly expectsTraffic: boolean;
}

/** No data is neither a pass nor a breach, and is said. */
export function assessLiveness(
  { readAtMs, grewAtMs, expectsTraffic }: Liveness,
  nowMs: number,
  toleratedMs: number,
): { readonly kind: 'alive' } | { readonly kind: 'noData' | 'stuck'; readonly reason: string } {
  const unreadMs = nowMs - readAtMs;
  if (unreadMs > toleratedMs) {
    return { kind: 'noData', reason: `its counters were not read for ${seconds(unreadMs)} s` };
  }
  const stillMs = nowMs - grewAtMs;
  if (expectsTraffic && stillMs > toleratedMs) {
    return {
      kind: 'stuck',
      reason: `its counters stand still for ${seconds(stillMs)} s though it is to get traffic`,
    };
  }
  return { kind: 'alive' };
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
