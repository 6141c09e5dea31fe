import { dealtGroups, versionsNamedBy } from '../policy/groups.ts';
import { hashSteps, SLOTS } from '../policy/route-key.ts';
import type { TrafficSplit, TrialCounting } from '../routes/table.ts';
import { together } from './joined-shares.ts';

/**
 * Version → share that it is to have of the units that are counted under a split; the shares add up to 1. Exact to the
 * slots of the hash that gateways compute: a third is 3,334 of 10,000, which a long trial can tell from a third.
 *
 * Undefined where nothing is counted, or where no share is known beforehand: what tails, ages and lists give to whom depends on the customers, and
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
  let taken = 0;
  const own = hashSteps(policy.weights).map(({ below, decision }) => {
    const slots = slotsBelow(below) - taken;
    taken += slots;
    return [decision.release, slots] as const;
  });
  const slots = countedParts(own, { baseline, pulled, open: stage, control: counting.control });
  const total = Object.values(slots).reduce((sum, own) => sum + own, 0);
  if (total === 0) return undefined;
  return Object.fromEntries(Object.entries(slots).map(([release, own]) => [release, own / total]));
}

/**
 * What counts for whom of the keys that a policy gives to each release. Candidates have theirs times the share that the
 * stage opens; the control arm has what the stage holds back, and the policy's own part of the baseline. Pulled versions
 * are no arms, for their keys are not counted.
 */
export function countedParts(
  own: readonly (readonly [release: string, keys: number])[],
  {
    baseline,
    pulled,
    open,
    control,
  }: {
    readonly baseline: string;
    readonly pulled: readonly string[];
    readonly open: number;
    readonly control: boolean;
  },
): Readonly<Record<string, number>> {
  const parts: Record<string, number> = {};
  const add = (release: string, more: number): void => {
    if (more > 0) parts[release] = (parts[release] ?? 0) + more;
  };
  for (const [release, keys] of own) {
    if (release === baseline) {
      if (control) add(baseline, keys);
      continue;
    }
    if (pulled.includes(release)) continue;
    add(release, keys * open);
    if (control) add(baseline, keys * (1 - open));
  }
  return parts;
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
