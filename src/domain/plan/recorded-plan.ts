import type { Plan } from './schema.ts';

/** A plan as a history may hold it. */
export type RecordedPlan = Omit<Plan, 'decision'> & {
  readonly decision?: Pick<Plan['decision'], 'rule' | 'delta'> & Partial<Plan['decision']>;
};

const BEFORE: Plan['decision'] = {
  rule: 'max-efficacy',
  delta: 0.05,
  unit: 'request',
  windowMs: 60_000,
  outcomeWithinMs: 10_000,
};

/** What was understood when runs began before plans said how the winner is chosen, or how long an outcome counts. */
export function completed(plan: RecordedPlan): Plan {
  return { ...plan, decision: { ...BEFORE, ...plan.decision } };
}
