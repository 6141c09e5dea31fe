import { dealtGroups } from '../../policy/groups.ts';
import type { Weights } from '../../policy/policy.ts';
import type { PlanDraft, PolicyDraft } from '../draft.ts';
import { planProblem, type PlanProblem } from '../problem.ts';

/** The candidate in front gets more: of what candidates are dealt by weights, and nobody else's keys. */

export function leaderShareFits(plan: PlanDraft): PlanProblem[] {
  const { decision, candidates, traffic } = plan;
  const share = decision?.leaderShare;
  if (share === undefined || decision?.rule !== 'anytime' || candidates === undefined) return [];
  const message =
    shareMessage(share, candidates.length) ??
    (traffic?.policy === undefined ? undefined : policyMessage(plan, traffic.policy));
  return message === undefined
    ? []
    : [planProblem({ path: ['decision', 'leaderShare'], value: share, message })];
}

function shareMessage(share: number, candidates: number): string | undefined {
  if (candidates < 2) return 'must not be there: one candidate has all that candidates get';
  if (share < 1 && share * candidates >= 1) return undefined;
  return `must be less than 100% and no less than an equal share of ${candidates} candidates`;
}

function policyMessage({ baseline, decision, trial }: PlanDraft, policy: PolicyDraft): string | undefined {
  const dealt = weightsIn(policy);
  if (dealt.length === 0) {
    return `must not be there: shares can be changed where traffic.policy deals by weights (hash, or groups of range and values that have weights in place of a version), and it is ${policy.kind} without weights`;
  }
  const hasControl = (trial?.baselineShare ?? 0) > 0;
  const isBetween = dealt.some((weights) => isBetweenOthers(baseline?.version, weights));
  if (hasControl || decision?.unit !== 'account' || !isBetween) return undefined;
  return 'must not be there without trial.baselineShare: traffic.policy gives keys between those of the candidates to the baseline, which would come to candidates late when shares change';
}

/** The weights that a policy deals by: its own, or those of each group. */
function weightsIn(policy: PolicyDraft): readonly Weights[] {
  return policy.kind === 'hash' ? [policy.weights] : dealtGroups(policy).map(({ weights }) => weights);
}

/** Whether the keys of a release lie between others: weights are laid out in the order of the names. */
function isBetweenOthers(release: string | undefined, weights: Weights): boolean {
  if (release === undefined) return false;
  const names = Object.entries(weights).flatMap(([name, weight]) => (weight > 0 ? [name] : []));
  const has = (found: (name: string) => boolean): boolean => names.some(found);
  return names.includes(release) && has((name) => name < release) && has((name) => name > release);
}
