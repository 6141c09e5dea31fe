import type { Plan } from '../plan/schema.ts';
import { sourceOf } from '../plan/source-of.ts';
import type { TrialCounting } from '../routes/table.ts';

/** Whether a rule goes by units, and not by the ordinary counters: it needs what each of them came to. */
export function goesByUnits({
  rule,
  comparesCapped,
}: Pick<Plan['decision'], 'rule' | 'comparesCapped'>): boolean {
  return rule !== 'max-efficacy' || comparesCapped === true;
}

/** How gateways count units for a plan's rule; undefined where it goes by their ordinary counters, or by another source. */
export function countingOf({ decision, trial, measure, gateways }: Plan): TrialCounting | undefined {
  if (!goesByUnits(decision) || sourceOf(measure).from !== 'gateways') return undefined;
  const { unit, cap, outcomeWithinMs: timeoutMs, windowMs, accountsAt } = decision;
  const isDivided = unit === 'account' && accountsAt === 'any-gateway' && gateways.length > 1;
  return {
    unit,
    control: trial.baselineShare > 0,
    ...(isDivided ? { gateways: gateways.map(({ name }) => name).sort() } : {}),
    ...(cap === undefined ? {} : { cap }),
    timeoutMs,
    windowMs,
  };
}

/** Whether an account that comes by several gateways enters at each of them: the plan does not say that none does. */
export function mayEnterTwice(plan: Plan): boolean {
  const { decision, gateways } = plan;
  const isCounted = countingOf(plan)?.unit === 'account';
  return isCounted && gateways.length > 1 && decision.accountsAt === undefined;
}
