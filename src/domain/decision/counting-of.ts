import type { Plan } from '../plan/schema.ts';
import { sourceOf } from '../plan/source-of.ts';
import type { TrialCounting } from '../routes/table.ts';

/** How gateways count units for a plan's rule; undefined where it goes by their ordinary counters, or by another source. */
export function countingOf({ decision, trial, measure }: Plan): TrialCounting | undefined {
  if (decision.rule === 'max-efficacy' || sourceOf(measure).from !== 'gateways') return undefined;
  const { unit, cap, outcomeWithinMs: timeoutMs, windowMs } = decision;
  return {
    unit,
    control: trial.baselineShare > 0,
    ...(cap === undefined ? {} : { cap }),
    timeoutMs,
    windowMs,
  };
}
