import { comparisonOf } from '../../decision/comparison-of.ts';
import { dealAlike, dealtGroups, versionsNamedBy } from '../../policy/groups.ts';
import { versionsOf, type PlanDraft, type PolicyDraft } from '../draft.ts';
import { planProblem, type PlanProblem } from '../problem.ts';
import { sourceOf } from '../source-of.ts';

/** Guardrails that compare a candidate with the baseline: without one, or with other customers, they would say nothing. */

export function guardrailsHaveBaseline(plan: PlanDraft): PlanProblem[] {
  const { guardrails, trial, traffic } = plan;
  const baseline = versionsOf(plan)?.baseline;
  if (guardrails === undefined || trial === undefined) return [];
  if (traffic?.policy === undefined || baseline === undefined) return [];
  if (trial.baselineShare > 0 || dealsTo(baseline, traffic.policy)) return [];
  const problem = (field: keyof typeof guardrails, who: string): PlanProblem[] => {
    const value = guardrails[field];
    const message = `must have a baseline to compare with: ${who} none of the customers on it, set trial.baselineShare`;
    return value === undefined ? [] : [planProblem({ path: ['guardrails', field], value, message })];
  };
  const stages = trial.stages.map(({ share }) => share);
  return [
    // It guards while there is somebody to compare with, and in the first stages that counts most.
    ...(stages.every((share) => share >= 1) ? problem('errorsAgainstBaseline', 'the stages leave') : []),
    ...((stages.at(-1) ?? 1) >= 1 ? problem('lossBudget', 'the last stage leaves') : []),
  ];
}

/** Whether the policy itself leaves customers on the baseline: of groups that are dealt at random, some of each. */
function dealsTo(baseline: string, policy: PolicyDraft): boolean {
  const groups = dealtGroups(policy);
  return groups.length > 0
    ? groups.every(({ weights }) => (weights[baseline] ?? 0) > 0)
    : versionsNamedBy(policy).includes(baseline);
}

/** Failures are compared within groups that are dealt at random; where each group is one version's, there is no such. */
export function errorsAreOfLikeCustomers({ guardrails, traffic }: PlanDraft): PlanProblem[] {
  const { errorsAgainstBaseline } = guardrails ?? {};
  if (errorsAgainstBaseline === undefined || traffic?.policy === undefined) return [];
  const { policy, key } = traffic;
  if (comparisonOf({ policy, key }) !== 'segment') return [];
  const message = `must not be there: traffic.policy (${traffic.policy.kind}) gives candidates other customers than the baseline has, who may be what fails. Take guardrails.errorRate, deal every group by weights, or take a policy by hash or tail`;
  return [
    planProblem({ path: ['guardrails', 'errorsAgainstBaseline'], value: errorsAgainstBaseline, message }),
  ];
}

/** What was lost is estimated from totals: at the gateways, and of customers that are alike. */
export function lossIsOfLikeCustomers(plan: PlanDraft): PlanProblem[] {
  const { guardrails, measure, traffic } = plan;
  const { lossBudget } = guardrails ?? {};
  if (lossBudget === undefined) return [];
  const problem = (message: string): PlanProblem[] => [
    planProblem({ path: ['guardrails', 'lossBudget'], value: lossBudget, message }),
  ];
  const source = measure === undefined ? 'gateways' : sourceOf(measure).from;
  const { kind, match = {}, amountHeader } = measure?.volume ?? {};
  const isCounted = Object.keys(match).length > 0 && (kind !== 'amount' || amountHeader !== undefined);
  if (source !== 'gateways' && !isCounted) {
    const needed = kind === 'amount' ? 'measure.volume.match and amountHeader' : 'measure.volume.match';
    return problem(
      `must not be there without ${needed}: it goes by what the gateways count, whatever measure.source (${source}) says`,
    );
  }
  const baseline = versionsOf(plan)?.baseline;
  if (traffic?.policy === undefined || dealAlike(traffic.policy, baseline)) return [];
  const { policy, key } = traffic;
  if (comparisonOf({ policy, key }) === 'random') return [];
  return problem(
    `must not be there: it compares totals, and traffic.policy (${traffic.policy.kind}) gives candidates other customers than the baseline has. Deal every group by the same weights, or take a policy by hash or tail`,
  );
}
