import { EVERYONE } from '../domain/decision/block.ts';
import { dealtGroups } from '../domain/policy/groups.ts';
import type { TrafficPolicy } from '../domain/policy/policy.ts';
import { SLOTS } from '../domain/policy/route-key.ts';
import { GROUP_BASE } from './layout.ts';

/**
 * The group in which a unit is compared, by its group's first number as the rules noted it; undefined for what is of none
 * that the policy deals.
 */
export function compileGroups(policy: TrafficPolicy): (first: number | undefined) => string | undefined {
  const names = dealtGroups(policy).map(({ name }) => name);
  if (names.length === 0) return () => EVERYONE;
  return (first = 0) => names[(first - GROUP_BASE) / SLOTS];
}
