import { dealtGroups } from '../policy/groups.ts';
import type { TrafficPolicy } from '../policy/policy.ts';
import type { Comparison } from './rule-spec.ts';

/**
 * What a policy's split allows to be claimed. Ranges and lists say who the customer is, tails and hashes do not; where
 * accounts are dealt at random inside such groups, versions are compared group by group.
 */
export function comparisonOf(policy: TrafficPolicy): Comparison {
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
