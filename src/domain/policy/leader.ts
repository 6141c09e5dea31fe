import type { GroupTarget, TrafficPolicy, Weights } from './policy.ts';

/** The candidate in front, and what it gets. */
export interface Lead {
  readonly leader: string;
  /** Of what all candidates get together. */
  readonly share: number;
  readonly candidates: readonly string[];
  /** Candidates that were pulled or dropped. */
  readonly out: readonly string[];
}

/**
 * The policy with the leader's share for the candidate in front, wherever it deals by weights: as a whole, or inside each
 * group. The other candidates that are left have the rest in equal parts. What candidates get together stays in each
 * group, and so does the baseline's part: who is exposed does not change by who is in front.
 */
export function withLeader(policy: TrafficPolicy, lead: Lead): TrafficPolicy {
  switch (policy.kind) {
    case 'tail':
      return policy;
    case 'hash':
      return { ...policy, weights: ledWeights(policy.weights, lead) };
    case 'range':
      return { ...policy, rules: ledRules(policy.rules, lead), ...ledOtherwise(policy, lead) };
    case 'values':
      return { ...policy, rules: ledRules(policy.rules, lead), ...ledOtherwise(policy, lead) };
  }
}

function ledRules<R extends { readonly to: GroupTarget }>(rules: readonly R[], lead: Lead): readonly R[] {
  return rules.map((rule) => ({ ...rule, to: ledTarget(rule.to, lead) }));
}

function ledOtherwise({ otherwise }: { readonly otherwise?: GroupTarget }, lead: Lead) {
  return otherwise === undefined ? {} : { otherwise: ledTarget(otherwise, lead) };
}

/** A group that goes to one version as a whole has nobody to deal. */
function ledTarget(target: GroupTarget, lead: Lead): GroupTarget {
  return typeof target === 'string' ? target : ledWeights(target, lead);
}

/** Weights that deal everybody, or one group. */
export function ledWeights(weights: Weights, { leader, share, candidates, out }: Lead): Weights {
  const left = candidates.filter((version) => !out.includes(version));
  const equal = 1 / Math.max(1, left.length);
  const mine = left.length === 1 ? 1 : Math.max(share, equal);
  const partOf = (version: string): number => {
    if (!left.includes(version)) return 0;
    if (!left.includes(leader)) return equal;
    return version === leader ? mine : (1 - mine) / (left.length - 1);
  };
  const given = candidates.reduce((sum, version) => sum + (weights[version] ?? 0), 0);
  return {
    ...weights,
    ...Object.fromEntries(candidates.map((version) => [version, given * partOf(version)])),
  };
}
