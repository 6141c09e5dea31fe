import { DEFAULT_ALPHA, type GuardrailBounds } from './decision/guardrail-evidence.ts';

/** What a candidate has to keep during the trial, as the plan says it. Absent: not looked at. */
export interface GuardrailRules {
  /** Highest share (0..1) of the requests that end in 5xx or without an answer. */
  readonly errorRate?: { readonly max: number; readonly minRequests?: number };
  /** Highest share (0..1) of the requests slower than the plan's bound. */
  readonly slow?: { readonly maxShare: number; readonly minRequests?: number };
  /** Failures at most this many times as frequent as the baseline's. */
  readonly errorsAgainstBaseline?: { readonly times: number };
  /** Transactions (or amount) that may be lost against the baseline. */
  readonly lossBudget?: number;
  /** A candidate that is to get traffic and of which nothing is heard for this long is said, in milliseconds. */
  readonly noDataMs?: number;
  /** P(a candidate that keeps a bound is pulled by it), at most. */
  readonly alpha?: number;
}

/** What the evidence is held against. */
export function boundsOf(rules: GuardrailRules): GuardrailBounds {
  const { errorRate, slow, errorsAgainstBaseline, lossBudget, alpha = DEFAULT_ALPHA } = rules;
  return {
    alpha,
    ...(errorRate === undefined ? {} : { errorCeiling: errorRate.max }),
    ...(errorRate?.minRequests === undefined ? {} : { errorFloor: errorRate.minRequests }),
    ...(slow === undefined ? {} : { slowCeiling: slow.maxShare }),
    ...(slow?.minRequests === undefined ? {} : { slowFloor: slow.minRequests }),
    ...(errorsAgainstBaseline === undefined ? {} : { errorRatio: errorsAgainstBaseline.times }),
    ...(lossBudget === undefined ? {} : { lossBudget }),
  };
}
