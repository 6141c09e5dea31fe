import { planProblem, type PlanProblem } from './problem.ts';
import type { Plan } from './schema.ts';

/** What can be planned and simulated, but not run yet: a run that decided otherwise than its plan says would lie. */
export function runProblems({ decision: { rule } }: Plan): readonly PlanProblem[] {
  if (rule === 'max-efficacy') return [];
  const message =
    'must be max-efficacy in a run for now; `changeover plan` and `changeover simulate` know the other rules';
  return [planProblem({ path: ['decision', 'rule'], value: rule, message })];
}
