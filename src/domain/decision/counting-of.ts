import type { Plan } from '../plan/schema.ts';
import type { TrialCounting } from '../routes/table.ts';

/** How gateways count units for a plan's rule; undefined where it goes by their ordinary counters. */
export function countingOf({ decision, trial }: Plan): TrialCounting | undefined {
  if (decision.rule === 'max-efficacy') return undefined;
  const { unit, cap, outcomeWithinMs: timeoutMs, windowMs } = decision;
  return {
    unit,
    control: trial.baselineShare > 0,
    ...(cap === undefined ? {} : { cap }),
    timeoutMs,
    windowMs,
  };
}
