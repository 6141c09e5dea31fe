import type { GroupTarget, TrafficPolicy, ValuesRule, Weights } from './policy.ts';

/** A group of customers (an age group, a region) whose accounts are dealt to versions at random: a stratum. */
export interface DealtGroup {
  /** The policy bucket of what was dealt; also the group of the units in it. */
  readonly name: string;
  readonly weights: Weights;
}

/** The versions that a target leads to. */
export function versionsOfTarget(target: GroupTarget): readonly string[] {
  if (typeof target === 'string') return [target];
  return Object.entries(target).flatMap(([version, weight]) => (weight > 0 ? [version] : []));
}

/** The groups of a policy that are dealt at random, in the order of its rules; `otherwise` comes last. */
export function dealtGroups(policy: TrafficPolicy): readonly DealtGroup[] {
  if (policy.kind === 'tail' || policy.kind === 'hash') return [];
  const named =
    policy.kind === 'range'
      ? policy.rules.map((rule) => ({ name: rangeName(rule), to: rule.to }))
      : policy.rules.map((rule, index) => ({ name: listName(rule, index), to: rule.to }));
  const all = policy.otherwise === undefined ? named : [...named, { name: OTHERWISE, to: policy.otherwise }];
  return all.flatMap(({ name, to }) => (typeof to === 'string' ? [] : [{ name, weights: to }]));
}

export const OTHERWISE = 'otherwise';

export function rangeName({ from, below }: { readonly from?: number; readonly below?: number }): string {
  return `range:${from ?? ''}..${below ?? ''}`;
}

/** Octets of a value that a name shows: buckets are keys of tables with a bounded length. */
const SHOWN = 40;

/** Lists may begin alike, so that the rule's number is part of the name: `list1:zurich,…`. */
export function listName(
  { values: [first = '', ...more] }: Pick<ValuesRule, 'values'>,
  index: number,
): string {
  return `list${index + 1}:${first.slice(0, SHOWN)}${more.length > 0 || first.length > SHOWN ? ',…' : ''}`;
}

const HELD_BACK = 'held-back';

/** Bucket of keys that a stage holds back, which says of which group they are where groups are dealt. */
export function heldBackBucket(group?: string): string {
  return group === undefined ? HELD_BACK : `${HELD_BACK}:${group}`;
}

/** The group that requests of a bucket belong to, where the policy deals it; undefined for all other buckets. */
export function groupOfBucket(bucket: string, groups: ReadonlySet<string>): string | undefined {
  const name = bucket.startsWith(`${HELD_BACK}:`) ? bucket.slice(HELD_BACK.length + 1) : bucket;
  return groups.has(name) ? name : undefined;
}

/** Versions that a policy names, as often as it does. */
export function versionsNamedBy(policy: TrafficPolicy): readonly string[] {
  if (policy.kind === 'hash') return versionsOfTarget(policy.weights);
  return [...policy.rules.map(({ to }) => to), policy.otherwise ?? []].flat().flatMap(versionsOfTarget);
}

/**
 * Whether the counts of all groups may be added up: every one has the same proportions, so that who comes to a version
 * has nothing to do with the group. Beside a `control` arm no group may be left on it alone.
 */
export function dealAlike(policy: TrafficPolicy, control: string | undefined): boolean {
  if (policy.kind === 'tail' || policy.kind === 'hash') return true;
  const targets = [
    ...policy.rules.map(({ to }) => to),
    ...(policy.otherwise === undefined ? [] : [policy.otherwise]),
  ];
  const alone = targets.some((target) => typeof target === 'string' && target === control);
  const proportions = dealtGroups(policy).map(({ weights }) => proportionsOf(weights));
  return !alone && new Set(proportions).size === 1;
}

function proportionsOf(weights: Weights): string {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  return versionsOfTarget(weights)
    .toSorted()
    .map((version) => `${version}=${((weights[version] ?? 0) / total).toFixed(9)}`)
    .join(' ');
}
