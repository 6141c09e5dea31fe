import { dealtGroups } from '../policy/groups.ts';
import type { TrafficSplit } from '../routes/table.ts';
import { expectedShares } from './expected-shares.ts';

/** Group → version → share of the group's units. */
export type GroupShares = Readonly<Record<string, Readonly<Record<string, number>>>>;

/**
 * Where groups are dealt at random: what each version is to have of the group's units, as `expectedShares` has it, for a
 * group is dealt as a whole policy by hash is. Undefined where no group is, or no share is known beforehand.
 */
export function expectedGroupShares(split: TrafficSplit): GroupShares | undefined {
  const groups = dealtGroups(split.policy).flatMap(({ name, weights }) => {
    const shares = expectedShares({ ...split, policy: { kind: 'hash', salt: split.salt, weights } });
    return shares === undefined ? [] : [[name, shares] as const];
  });
  return groups.length === 0 ? undefined : Object.fromEntries(groups);
}
