import { countingOf } from '../decision/counting-of.ts';
import { countingRules } from '../measure.ts';
import type { Plan } from '../plan/schema.ts';
import { withLeader } from '../policy/leader.ts';
import type { Transition } from '../routes/transitions.ts';
import type { TrafficSplit } from '../routes/table.ts';
import { candidateOfCluster, members, targetRelease } from './fleet.ts';
import type { UpgradeState } from './state.ts';
import { shareOfStage } from './trial-stages.ts';

/** Servers take business again, each on the version that it is to run. */
export function openTransitions(
  plan: Plan,
  state: UpgradeState,
  names: readonly string[],
): readonly Transition[] {
  const byRelease = new Map<string, string[]>();
  for (const name of names) {
    const server = state.servers[name];
    if (server === undefined) continue;
    const release = targetRelease(plan, state, server);
    byRelease.set(release, [...(byRelease.get(release) ?? []), name]);
  }
  return [...byRelease].map(([release, servers]) => ({ kind: 'open', servers, release }));
}

/** The traffic split of a plan at a stage's share. */
export function splitOf(plan: Plan, share: number, upgradeId: string): TrafficSplit {
  const counting = countingOf(plan);
  return {
    key: plan.traffic.key,
    policy: plan.traffic.policy,
    ...(plan.traffic.account === undefined ? {} : { account: plan.traffic.account }),
    withoutKey: plan.traffic.withoutKey ?? plan.baseline.version,
    baseline: plan.baseline.version,
    share,
    // Another salt for each upgrade, so that it is not always the same customers who meet a new version first.
    salt: upgradeId,
    pulled: [],
    ...(counting === undefined ? {} : { counting }),
  };
}

/** The split as it stands: with the leader's share for the candidate in front, where the plan has one. */
export function splitNow(plan: Plan, state: UpgradeState, leader = state.trial.leader): TrafficSplit {
  const split = splitOf(plan, state.routes.share, state.upgradeId);
  const { leaderShare: share } = plan.decision;
  const pulled = [...Object.keys(state.trial.pulled), ...(state.trial.dropped ?? [])];
  if (leader === undefined || share === undefined) return { ...split, pulled };
  const candidates = plan.candidates.map(({ version }) => version);
  return { ...split, policy: withLeader(split.policy, { leader, share, candidates, out: pulled }), pulled };
}

/** The routes of the trial: candidates open on their own version, traffic drawn to them, counted by the plan's rules. */
export function splitTransitions(plan: Plan, state: UpgradeState): readonly Transition[] {
  const servers = members(state)
    .filter(([, { cluster, stage }]) => candidateOfCluster(plan, cluster) !== undefined && stage !== 'out')
    .map(([name]) => name);
  const split = splitOf(plan, shareOfStage(plan, 0), state.upgradeId);
  return [measureTransition(plan), ...openTransitions(plan, state, servers), { kind: 'split', split }];
}

export function measureTransition(plan: Plan): Transition {
  const measure = countingRules(plan.measure);
  return { kind: 'measure', measure, transactions: plan.traffic.transactions ?? null };
}

/** What is to be staged while a group is changed: for the trial all of its routes, afterwards the group's opening. */
export function transitionsToStage(
  plan: Plan,
  state: UpgradeState,
  group: readonly string[],
): readonly Transition[] {
  return isTrialAhead(state) ? splitTransitions(plan, state) : openTransitions(plan, state, group);
}

/** Told by content: after an abort, or a server skipped, the same servers open on another version, or fewer of them. */
export function isStaged({ routes }: UpgradeState, transitions: readonly Transition[]): boolean {
  return JSON.stringify(routes.staged) === JSON.stringify(transitions);
}

/** The trial's routes are not in effect yet, or their change is under way. */
export function isTrialAhead({ goal, routes, trial }: UpgradeState): boolean {
  return goal === 'trial' && (routes.mode === 'baseline' || (!routes.applied && trial.readings === 0));
}
