import type { Plan } from '../plan/schema.ts';
import {
  candidateOfCluster,
  inChange,
  inStage,
  members,
  minServing,
  needsChange,
  targetRelease,
  type Member,
} from './fleet.ts';
import { isStaged, isTrialAhead, transitionsToStage } from './route-changes.ts';
import type { UpgradeState } from './state.ts';
import type { Step } from './step.ts';

/**
 * Steps 2 to 5 for the group of servers whose turn it is: out of traffic, drained, routes staged, upgraded, ready.
 * Undefined where no server is left to be changed for the present goal; `only.begun` takes up no further batch. A server's software is touched only in stage
 * `drained`: nothing in flight, and sealed off by a table that every gateway acknowledged (invariant 2).
 */
export function changeCycle(plan: Plan, state: UpgradeState, only?: { begun: true }): Step | undefined {
  const underWay = members(state).filter((member) => isUnderWay(plan, state, member));
  const group = underWay.length > 0 || only?.begun === true ? underWay : nextBatch(plan, state);
  if (group.length === 0) return undefined;

  const toClose = group.filter(inStage('open', 'opening', 'closing'));
  if (toClose.length > 0) return { kind: 'closeIngress', servers: names(toClose) };

  const toDrain = group.filter(inStage('draining'));
  if (toDrain.length > 0) return { kind: 'awaitDrain', servers: names(toDrain) };

  const transitions = transitionsToStage(plan, state, names(group));
  if (staging(state) && !isStaged(state, transitions)) return { kind: 'stageRoutes', transitions };

  const toChange = group.filter(([, server]) => needsChange(plan, state, server));
  if (toChange.length > 0) {
    return {
      kind: 'pushUpgradeParams',
      servers: toChange.map(([name, server]) => ({
        name,
        version: targetRelease(plan, state, server),
        retry: server.retry ?? 0,
      })),
    };
  }
  return { kind: 'reportReady', servers: names(group) };
}

/** The routes of the trial are prepared beforehand; what opens a batch afterwards is one transition, and needs no step. */
function staging(state: UpgradeState): boolean {
  return state.stagesTrialOnly !== true || isTrialAhead(state);
}

function isUnderWay(plan: Plan, state: UpgradeState, member: Member): boolean {
  const [, server] = member;
  if (server.stage === 'changed') return true;
  if (!needsChange(plan, state, server) && server.skipped === undefined) return false;
  return inChange(member) || server.stage === 'ready' || server.stage === 'opening';
}

/**
 * The servers that come next. For the trial: of each candidate cluster all, or a batch where it drains server by
 * server. For the promotion: a batch of one cluster, losers first and the baseline cluster last. For the rollback: all
 * that carry no traffic; while the winner still serves, a batch of the baseline cluster.
 */
function nextBatch(plan: Plan, state: UpgradeState): readonly Member[] {
  const open = members(state)
    .filter(inStage('open'))
    .filter(([, server]) => needsChange(plan, state, server));
  if (open.length === 0) return toLeaveOut(plan, state);
  switch (state.goal) {
    case 'trial':
      return Object.keys(plan.clusters).flatMap((cluster) => {
        const { manner, batchSize } = drainOf(plan, cluster);
        const ofCluster = open.filter(([, server]) => server.cluster === cluster);
        return manner === 'together' ? ofCluster : ofCluster.slice(0, batchSize);
      });
    case 'promote':
      return batchOfOneCluster(plan, open);
    case 'rollback': {
      if (state.routes.mode === 'baseline') return open;
      return batchOfOneCluster(
        plan,
        open.filter(([, server]) => server.cluster === plan.baseline.cluster),
      );
    }
  }
}

/**
 * Servers that run what they should and that the operator wants left out all the same: closed and drained at the end,
 * when all others serve again, and only as far as the rest can carry all business (invariant 3).
 */
function toLeaveOut(plan: Plan, state: UpgradeState): readonly Member[] {
  const settled = state.goal === 'promote' ? 'winner' : 'baseline';
  if (state.goal === 'trial' || state.routes.mode !== settled || !state.routes.applied) return [];
  const serving = members(state).filter(inStage('open'));
  const unwanted = serving.filter(([, server]) => server.skipped !== undefined);
  const spare = Math.max(0, serving.length - minServing(plan));
  return unwanted.slice(0, spare);
}

function batchOfOneCluster(plan: Plan, open: readonly Member[]): readonly Member[] {
  const first = open.find(([, server]) => candidateOfCluster(plan, server.cluster) !== undefined) ?? open[0];
  if (first === undefined) return [];
  const [, { cluster }] = first;
  return open.filter(([, server]) => server.cluster === cluster).slice(0, promotionBatch(plan, cluster));
}

/** Servers changed at once after the decision: the plan's number, or a third of the cluster. */
export function promotionBatch(plan: Plan, cluster: string): number {
  return plan.promotion.batch ?? Math.max(1, Math.ceil((plan.clusters[cluster]?.servers.length ?? 1) / 3));
}

/** How a cluster drains: as it says itself, or as the plan says for all. */
export function drainOf(plan: Plan, cluster: string): Plan['drain'] {
  return plan.clusters[cluster]?.drain ?? plan.drain;
}

function names(group: readonly Member[]): readonly string[] {
  return group.map(([name]) => name);
}
