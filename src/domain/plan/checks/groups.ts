import { dealAlike } from '../../policy/groups.ts';
import { sourceOf } from '../source-of.ts';
import { versionsOf, type PlanDraft, type PolicyDraft } from '../draft.ts';
import { allOf } from '../../decision/sentence.ts';
import { planProblem, type FieldPath, type PlanProblem } from '../problem.ts';

/** Groups (age, region, lists) that are dealt at random: what they have to say so that versions can be compared. */

type GroupPolicy = Extract<PolicyDraft, { kind: 'range' | 'values' }>;
type Target = GroupPolicy['rules'][number]['to'];

const POLICY = ['traffic', 'policy'];

/** The policy, where it deals some group by weights. */
function dealtPolicy({ traffic }: PlanDraft): GroupPolicy | undefined {
  const policy = traffic?.policy;
  if (policy?.kind !== 'range' && policy?.kind !== 'values') return undefined;
  return targetsOf(policy).some(({ to }) => typeof to !== 'string') ? policy : undefined;
}

function targetsOf({ rules, otherwise }: GroupPolicy): { path: FieldPath; to: Target }[] {
  const all = rules.map(({ to }, index) => ({ path: [...POLICY, 'rules', index, 'to'], to }));
  return otherwise === undefined ? all : [...all, { path: [...POLICY, 'otherwise'], to: otherwise }];
}

/** Versions are compared inside groups: each group that counts has all candidates in it. */
export function groupsHaveAllCandidates(plan: PlanDraft): PlanProblem[] {
  const policy = dealtPolicy(plan);
  const versions = versionsOf(plan);
  if (policy === undefined || versions === undefined) return [];
  const { baseline, candidates } = versions;
  return targetsOf(policy).flatMap(({ path, to }) => {
    if (typeof to === 'string') {
      if (to === baseline || !candidates.includes(to)) return [];
      const message = `must be weights as in other groups, or the baseline ${baseline}: alone in its group, ${to} would be compared with other customers`;
      return [planProblem({ path, value: to, message })];
    }
    const missing = candidates.filter((version) => (to[version] ?? 0) <= 0);
    if (missing.length === 0) return [];
    const message = `must have a weight above 0 for every candidate, and has none for ${allOf(missing)}: who is not in a group is not compared in it`;
    return [planProblem({ path, value: to, message })];
  });
}

/** What tells groups apart (the age) is no account: of one age all would go to one version. */
export function groupsHaveAccounts(plan: PlanDraft): PlanProblem[] {
  const { traffic } = plan;
  if (traffic?.policy === undefined) return [];
  const { policy, account } = traffic;
  if (dealtPolicy(plan) === undefined) {
    const salt = policy.kind === 'range' || policy.kind === 'values' ? policy.salt : undefined;
    const message = 'must not be there: it belongs to groups that are dealt by weights';
    return [
      { path: ['traffic', 'account'], value: account },
      { path: [...POLICY, 'salt'], value: salt },
    ].flatMap(({ path, value }) => (value === undefined ? [] : [planProblem({ path, value, message })]));
  }
  if (account !== undefined || traffic.key === undefined || traffic.key.lookup !== undefined) return [];
  const message =
    'must say where the account (card, customer …) is found: a group is dealt by account, and traffic.key is what tells groups apart, for it has no lookup';
  return [planProblem({ path: ['traffic', 'account'], value: undefined, message })];
}

/** Who counts everything together may only do so where every group is dealt alike, else groups would be compared. */
export function groupsAreCountedApart(plan: PlanDraft): PlanProblem[] {
  const { decision, measure, trial } = plan;
  const policy = dealtPolicy(plan);
  const versions = versionsOf(plan);
  if (policy === undefined || versions === undefined || decision === undefined) return [];
  const control = (trial?.baselineShare ?? 0) > 0 ? versions.baseline : undefined;
  if (dealAlike(policy, control)) return [];
  const why = 'counts all groups together, and they are dealt differently: write the same weights for each';
  const problems: PlanProblem[] = [];
  if (decision.rule === 'max-efficacy') {
    const message = `must be anytime or fixed-sample: max-efficacy ${why}`;
    problems.push(planProblem({ path: ['decision', 'rule'], value: decision.rule, message }));
  }
  const source = measure === undefined ? undefined : sourceOf(measure).from;
  if (source !== undefined && source !== 'gateways') {
    const message = `must be gateways: ${source} ${why}`;
    problems.push(planProblem({ path: ['measure', 'source', 'from'], value: source, message }));
  }
  return problems;
}
