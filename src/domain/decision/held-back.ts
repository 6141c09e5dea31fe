import { formatDuration } from '../duration.ts';
import type { RuleSpec } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';
import type { Missing } from './rule-verdict.ts';
import { concluded, nextLookMs } from './rules/anytime.ts';

export type Until = NonNullable<Missing['until']>;

/** A decision that waits for its time, whatever the evidence shows by now. */
export interface HeldBack {
  readonly until: Until;
  /** As it would be decided now; the same where nothing is shown. */
  readonly shown: RuleState;
}

/** Undefined where the next look may decide. */
export function heldBack(spec: RuleSpec, state: RuleState): HeldBack | undefined {
  if (spec.rule !== 'anytime' || spec.aaTest === true || spec.comparison === 'segment') return undefined;
  if (state.decided !== null || state.alarm !== null) return undefined;
  const { minDurationMs = 0, everyFullMs } = spec;
  const atMs = nextLookMs(spec, state.elapsedMs);
  if (atMs <= state.elapsedMs) return undefined;
  const reason =
    everyFullMs === undefined
      ? ({ by: 'minDuration', lengthMs: minDurationMs } as const)
      : ({ by: 'everyFull', lengthMs: everyFullMs } as const);
  return { until: { ...reason, atMs, inMs: atMs - state.elapsedMs }, shown: concluded(spec, state) };
}

/** `the end of the whole period of 7 d, in 4 d`. */
export function describeUntil({ by, lengthMs, inMs }: Until): string {
  const length = formatDuration(lengthMs);
  const what =
    by === 'everyFull'
      ? `the end of the whole period of ${length}`
      : `the end of the minimum duration of ${length}`;
  return `${what}, in ${formatDuration(inMs)}`;
}
