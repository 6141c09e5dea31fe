import type { Plan } from '../plan/schema.ts';
import type { Transition } from '../routes/transitions.ts';
import type { TrafficSplit } from '../routes/table.ts';
import { clusterOfCandidate, inStage, members } from './fleet.ts';
import type { UpgradeState } from './state.ts';
import { shareOfStage } from './trial-stages.ts';

export function openTransition(servers: readonly string[], release: string): readonly Transition[] {
  return servers.length === 0 ? [] : [{ kind: 'open', servers, release }];
}

/** The traffic split of a plan at a stage's share. */
export function splitOf(plan: Plan, share: number, upgradeId: string): TrafficSplit {
  return {
    key: plan.traffic.key,
    policy: plan.traffic.policy,
    withoutKey: plan.traffic.withoutKey ?? plan.baseline.version,
    baseline: plan.baseline.version,
    share,
    // Another salt for each upgrade, so that it is not always the same customers who meet a new version first.
    salt: upgradeId,
    pulled: [],
  };
}

/** The routes of the trial: candidates open on their own version, traffic drawn to them, counted by the plan's rules. */
export function splitTransitions(plan: Plan, state: UpgradeState): readonly Transition[] {
  const opening = plan.candidates.flatMap(({ version }) => {
    const cluster = clusterOfCandidate(plan, version);
    const servers = members(state)
      .filter(([, server]) => server.cluster === cluster && server.stage !== 'out')
      .map(([name]) => name);
    return openTransition(servers, version);
  });
  const split = splitOf(plan, shareOfStage(plan, 0), state.upgradeId);
  return [measureTransition(plan), ...opening, { kind: 'split', split }];
}

export function measureTransition(plan: Plan): Transition {
  return { kind: 'measure', measure: plan.measure, transactions: plan.traffic.transactions ?? null };
}

/** What is staged while a group is changed: for the trial all of its routes, afterwards the group's opening. */
export function stagedTransitions(
  plan: Plan,
  state: UpgradeState,
  group: readonly string[],
): { readonly key: string; readonly transitions: readonly Transition[] } {
  if (state.goal === 'trial') {
    const out = members(state)
      .filter(inStage('out'))
      .map(([name]) => name);
    return { key: `trial-${out.length}`, transitions: splitTransitions(plan, state) };
  }
  const release = state.goal === 'promote' ? (state.winner ?? plan.baseline.version) : plan.baseline.version;
  return { key: `open-${group.join(',')}`, transitions: openTransition(group, release) };
}
