/** Upper bounds for a candidate during the trial. Absent: not looked at. */
export interface GuardrailRules {
  /** Share (0..1) of the requests that ended in 5xx or without an answer. */
  readonly errorRate?: { readonly max: number; readonly minRequests: number };
  /** Share (0..1) of the requests slower than the plan's bound. */
  readonly slow?: { readonly maxShare: number; readonly minRequests: number };
}

/** What became of a release's requests, over all its servers; those under way are not contained. */
export interface ReleaseOutcomes {
  readonly finished: number;
  /** 5xx, and requests that the server did not answer. */
  readonly errors: number;
  readonly slow: number;
}

export const NO_OUTCOMES: ReleaseOutcomes = { finished: 0, errors: 0, slow: 0 };

/** `unknown`: too few requests for a rule, and no rule is broken; neither a pass nor a breach. */
export type GuardrailVerdict =
  | { readonly kind: 'holds' }
  | { readonly kind: 'unknown'; readonly finished: number; readonly needed: number }
  | { readonly kind: 'breach'; readonly reason: string };

/** What a release did between two readings of ever-growing counters. */
export function outcomesSince(before: ReleaseOutcomes, now: ReleaseOutcomes): ReleaseOutcomes {
  return {
    finished: Math.max(0, now.finished - before.finished),
    errors: Math.max(0, now.errors - before.errors),
    slow: Math.max(0, now.slow - before.slow),
  };
}

/** Judges a release by what happened since the guardrails were armed. A share equal to the bound is within it. */
export function assessGuardrails(outcomes: ReleaseOutcomes, rules: GuardrailRules): GuardrailVerdict {
  const { finished, errors, slow } = outcomes;
  const checks = [
    ...(rules.errorRate === undefined
      ? []
      : [{ bad: errors, max: rules.errorRate.max, min: rules.errorRate.minRequests, what: 'failed' }]),
    ...(rules.slow === undefined
      ? []
      : [{ bad: slow, max: rules.slow.maxShare, min: rules.slow.minRequests, what: 'were too slow' }]),
  ];
  const broken = checks.filter(({ bad, max, min }) => finished >= min && bad / finished > max);
  if (broken.length > 0) {
    const reasons = broken.map(
      ({ bad, max, what }) =>
        `${bad} of ${finished} requests ${what} (${percent(bad / finished)}), allowed are ${percent(max)}`,
    );
    return { kind: 'breach', reason: reasons.join('; ') };
  }
  const needed = Math.max(1, ...checks.map(({ min }) => min));
  return finished < needed ? { kind: 'unknown', finished, needed } : { kind: 'holds' };
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`;
}
