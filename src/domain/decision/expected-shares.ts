import { dealtGroups, versionsNamedBy } from '../policy/groups.ts';
import { hashSteps, SLOTS } from '../policy/route-key.ts';
import type { TrafficSplit, TrialCounting } from '../routes/table.ts';
import { together } from './joined-shares.ts';

/**
 * Version → share that it is to have of the units that are counted under a split; the shares add up to 1. Exact to the
 * slots of the hash that gateways compute: a third is 3,334 of 10,000, which a long trial can tell from a third.
 *
 * Candidates have their weight times the stage's share; the control arm has what the stage holds back, and the policy's
 * own weight of the baseline. Pulled versions are no arms, for their keys are not counted. Undefined where nothing is
 * counted, or where no share is known beforehand: what tails, ages and lists give to whom depends on the customers, and
 * so does how many requests each account makes. Of those policies it is known what the stage holds back of all
 * candidates' accounts, whoever they are.
 */
export function expectedShares(
  split: TrafficSplit,
  counting: Pick<TrialCounting, 'unit' | 'control'> | undefined = split.counting,
): Readonly<Record<string, number>> | undefined {
  const { policy, baseline, pulled } = split;
  if (counting?.unit !== 'account') return undefined;
  if (policy.kind !== 'hash') return counting.control ? heldBackShares(split) : undefined;
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

/**
 * Which of the candidates' accounts the stage holds back is drawn by a salted hash, whatever policy allots them: all
 * candidates together have its share of them, and the control arm the rest. Between candidates nothing is known, for
 * tails and ages are the customers' own; nor where the policy itself sends somebody to the baseline; nor where an age or
 * region is looked up, by which many accounts are held back together.
 */
function heldBackShares({
  key,
  policy,
  baseline,
  pulled,
  share,
}: TrafficSplit): Readonly<Record<string, number>> | undefined {
  if (policy.kind === 'hash' || (key.lookup !== undefined && policy.kind !== 'tail')) return undefined;
  // Groups that are dealt at random are checked one by one.
  if (dealtGroups(policy).length > 0) return undefined;
  const candidates = [...new Set(versionsNamedBy(policy))].filter((version) => !pulled.includes(version));
  if (candidates.length === 0 || candidates.includes(baseline)) return undefined;
  const open = Math.min(SLOTS, slotsBelow(share * SLOTS)) / SLOTS;
  return open >= 1 ? undefined : { [together(candidates)]: open, [baseline]: 1 - open };
}

/** Slots are whole numbers from 0: how many of them are below a bound. */
function slotsBelow(bound: number): number {
  return Math.ceil(bound);
}
