import {
  ceilingEvidence,
  nextRelative,
  NO_RELATIVE,
  relativeEvidence,
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
  /** Highest share (0..1) of responses slower than the plan's bound. */
  readonly slowCeiling?: number;
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

/** Plain JSON. `lost` is an estimate and may be negative: a candidate may gain. */
export interface GuardrailState {
  readonly candidate: Pick<OutcomeCounts, 'finished' | 'errors' | 'slow'>;
  readonly baseline: Pick<OutcomeCounts, 'finished' | 'errors' | 'slow'>;
  readonly relative: RelativeState;
  readonly lost: number;
}

const NONE = { finished: 0, errors: 0, slow: 0 };
export const UNWATCHED: GuardrailState = { candidate: NONE, baseline: NONE, relative: NO_RELATIVE, lost: 0 };

/** One reading more, of the candidate and of the baseline over the same time. */
export function watched(
  state: GuardrailState,
  block: { readonly candidate: OutcomeCounts; readonly baseline: OutcomeCounts },
  { errorRatio }: GuardrailBounds,
): GuardrailState {
  const { candidate, baseline } = block;
  return {
    candidate: sum(state.candidate, candidate),
    baseline: sum(state.baseline, baseline),
    relative:
      errorRatio === undefined
        ? state.relative
        : nextRelative(
            state.relative,
            {
              candidate: { finished: candidate.finished, bad: candidate.errors },
              baseline: { finished: baseline.finished, bad: baseline.errors },
            },
            errorRatio,
          ),
    lost: state.lost + lostIn(candidate, baseline),
  };
}

function sum(a: typeof NONE, b: OutcomeCounts): typeof NONE {
  return { finished: a.finished + b.finished, errors: a.errors + b.errors, slow: a.slow + b.slow };
}

/** What the candidate's units would have brought at the baseline's efficacy in the same block, less what they did. */
function lostIn(candidate: OutcomeCounts, baseline: OutcomeCounts): number {
  const { units = 0, volume = 0 } = candidate;
  const { units: comparedUnits = 0, volume: comparedVolume = 0 } = baseline;
  return units === 0 || comparedUnits === 0 ? 0 : (units * comparedVolume) / comparedUnits - volume;
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

/** What the evidence says of one candidate. */
export function assessEvidence(state: GuardrailState, bounds: GuardrailBounds): GuardrailFinding {
  const threshold = Math.log(1 / bounds.alpha);
  const { candidate, baseline, relative, lost } = state;
  const ceilings = [
    {
      guardrail: 'errors',
      limit: bounds.errorCeiling,
      what: 'failed',
      bad: candidate.errors,
      alike: baseline.errors,
    },
    {
      guardrail: 'slow',
      limit: bounds.slowCeiling,
      what: 'were too slow',
      bad: candidate.slow,
      alike: baseline.slow,
    },
  ] as const;
  for (const { guardrail, limit, what, bad, alike } of ceilings) {
    if (limit === undefined || limit <= 0 || limit >= 1) continue;
    if (ceilingEvidence(bad, candidate.finished, limit) < threshold) continue;
    const reason = `${bad} of ${candidate.finished} requests ${what}, allowed are ${percent(limit)}`;
    if (isBreachedToo({ bad: alike, finished: baseline.finished }, limit)) {
      const both = `${reason}; the baseline: ${alike} of ${baseline.finished}. It is the environment, not the version`;
      return { kind: 'environment', guardrail, reason: both };
    }
    return { kind: 'breach', guardrail, reason };
  }
  if (bounds.errorRatio !== undefined && relativeEvidence(relative) >= threshold) {
    const reason = `${candidate.errors} of ${candidate.finished} requests failed, more than ${bounds.errorRatio} times as many as the baseline's ${baseline.errors} of ${baseline.finished}`;
    return { kind: 'breach', guardrail: 'errorsAgainstBaseline', reason };
  }
  if (bounds.lossBudget !== undefined && lost >= bounds.lossBudget) {
    const reason = `about ${Math.round(lost)} lost against the baseline, the budget is ${bounds.lossBudget}`;
    return { kind: 'breach', guardrail: 'lossBudget', reason };
  }
  return { kind: 'holds' };
}

/** To clear the candidate of blame it takes less than to blame it: evidence of 20, and a rate beyond the limit. */
function isBreachedToo({ bad, finished }: { bad: number; finished: number }, limit: number): boolean {
  return finished > 0 && bad / finished > limit && ceilingEvidence(bad, finished, limit) >= Math.log(20);
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
