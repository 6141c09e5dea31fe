import type { Plan } from '../plan/schema.ts';
import type { ServerState, ServerStage, UpgradeState } from './state.ts';

/** A server by name with its state. */
export type Member = readonly [name: string, server: ServerState];

export function members(state: UpgradeState): readonly Member[] {
  return Object.entries(state.servers);
}

/** The cluster that a candidate is deployed to, by its business-processing mode. */
export function clusterOfCandidate(plan: Plan, version: string): string {
  const candidate = plan.candidates.find((one) => one.version === version);
  const cluster = candidate === undefined ? undefined : plan.deployment[candidate.mode];
  if (cluster === undefined) throw new Error(`plan has no cluster for ${version}`);
  return cluster;
}

export function candidateOfCluster(plan: Plan, cluster: string): string | undefined {
  return plan.candidates.find((one) => plan.deployment[one.mode] === cluster)?.version;
}

/** The version a server is to run, as the run's goal stands. */
export function targetRelease(plan: Plan, state: UpgradeState, server: ServerState): string {
  switch (state.goal) {
    case 'trial':
      return candidateOfCluster(plan, server.cluster) ?? plan.baseline.version;
    case 'promote':
      return state.winner ?? plan.baseline.version;
    case 'rollback':
      return plan.baseline.version;
  }
}

export function needsChange(plan: Plan, state: UpgradeState, server: ServerState): boolean {
  return server.dirty === true || server.release !== targetRelease(plan, state, server);
}

/** Servers that the operator left out, whatever they run: nobody vouches for them. */
export function leftOut(state: UpgradeState): readonly string[] {
  return members(state)
    .filter(inStage('out'))
    .map(([name]) => name);
}

/** Servers that can carry all business: stated in the plan, or as many as its smallest cluster has. */
export function minServing(plan: Plan): number {
  return (
    plan.minServing ?? Math.min(...Object.values(plan.clusters).map((cluster) => cluster.servers.length))
  );
}

const MID_CHANGE: readonly ServerStage[] = ['closing', 'draining', 'drained', 'changing', 'changed'];

/** In the middle of being changed. */
export function inChange([, server]: Member): boolean {
  return MID_CHANGE.includes(server.stage);
}

export function inStage(...stages: readonly ServerStage[]): (member: Member) => boolean {
  return ([, server]) => stages.includes(server.stage);
}

/** Servers out of traffic whose software was not touched: they can simply be opened again. */
export function reopenable(plan: Plan, state: UpgradeState): readonly string[] {
  return members(state)
    .filter(inStage('closing', 'draining', 'drained', 'ready', 'opening'))
    .filter(([, server]) => server.skipped === undefined && !needsChange(plan, state, server))
    .map(([name]) => name);
}

export function withStage(
  state: UpgradeState,
  names: readonly string[],
  change: (server: ServerState) => ServerState,
): UpgradeState {
  const servers = { ...state.servers };
  for (const name of names) {
    const server = servers[name];
    if (server !== undefined) servers[name] = change(server);
  }
  return { ...state, servers };
}
