import type { TrafficPolicy } from '../policy/policy.ts';
import type { Comparison } from './rule-spec.ts';

/** What a policy's split allows to be claimed. Ranges and lists say who the customer is, tails and hashes do not. */
export function comparisonOf(policy: Pick<TrafficPolicy, 'kind'>): Comparison {
  switch (policy.kind) {
    case 'hash':
      return 'random';
    case 'tail':
      return 'systematic';
    case 'range':
    case 'values':
      return 'segment';
  }
}
