import { hashSteps, SLOTS } from '../policy/route-key.ts';
import type { TrafficSplit } from '../routes/table.ts';

/**
 * Version → share that it is to have of the units that are counted under a split; the shares add up to 1. Exact to the
 * slots of the hash that gateways compute: a third is 3,334 of 10,000, which a long trial can tell from a third.
 *
 * Candidates have their weight times the stage's share; the control arm has what the stage holds back, and the policy's
 * own weight of the baseline. Pulled versions are no arms, for their keys are not counted. Undefined where nothing is
 * counted, or where no share is known beforehand: what tails, ages and lists give to whom depends on the customers, and
 * so does how many requests each account makes.
 */
export function expectedShares(split: TrafficSplit): Readonly<Record<string, number>> | undefined {
  const { policy, counting, baseline, pulled } = split;
  if (counting?.unit !== 'account' || policy.kind !== 'hash') return undefined;
  const stage = Math.min(SLOTS, slotsBelow(split.share * SLOTS)) / SLOTS;
  const slots: Record<string, number> = {};
  const add = (release: string, more: number): void => {
    if (more > 0) slots[release] = (slots[release] ?? 0) + more;
  };
  let taken = 0;
  for (const { below, decision } of hashSteps(policy.weights)) {
    const own = slotsBelow(below) - taken;
    taken += own;
    const { release } = decision;
    if (release === baseline) {
      if (counting.control) add(baseline, own);
      continue;
    }
    if (pulled.includes(release)) continue;
    add(release, own * stage);
    if (counting.control) add(baseline, own * (1 - stage));
  }
  const total = Object.values(slots).reduce((sum, own) => sum + own, 0);
  if (total === 0) return undefined;
  return Object.fromEntries(Object.entries(slots).map(([release, own]) => [release, own / total]));
}

/** Slots are whole numbers from 0: how many of them are below a bound. */
function slotsBelow(bound: number): number {
  return Math.ceil(bound);
}
