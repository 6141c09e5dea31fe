import { dealtGroups, versionsNamedBy } from '../policy/groups.ts';
import type { TrafficPolicy } from '../policy/policy.ts';
import type { Comparison } from './rule-spec.ts';

/** How traffic is dealt, as far as it decides what may be compared. */
interface Dealing {
  readonly policy: TrafficPolicy;
  readonly key?: { readonly lookup?: string | undefined } | undefined;
}

/**
 * What a policy's split allows to be claimed. Ranges and lists say who the customer is, tails and hashes do not; where
 * accounts are dealt at random inside such groups, versions are compared group by group. Where all keys lead to one
 * candidate, nobody is dealt by who he is: beside it is what the stage holds back, by a salted hash of the key.
 */
export function comparisonOf({ policy, key }: Dealing): Comparison {
  if (isOneForAll(policy) && isHeldBackByKey(policy, key)) return 'random';
  switch (policy.kind) {
    case 'hash':
      return 'random';
    case 'tail':
      return 'systematic';
    case 'range':
    case 'values':
      return dealtGroups(policy).length > 0 ? 'stratified' : 'segment';
  }
}

function isOneForAll(policy: TrafficPolicy): boolean {
  return dealtGroups(policy).length === 0 && new Set(versionsNamedBy(policy)).size === 1;
}

/** A stage holds back ages or regions that were looked up as a whole, with all accounts in them. */
function isHeldBackByKey({ kind }: TrafficPolicy, key: Dealing['key']): boolean {
  return key?.lookup === undefined || (kind !== 'range' && kind !== 'values');
}
