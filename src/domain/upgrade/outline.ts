import type { Plan } from '../plan/schema.ts';
import { drainOf, promotionBatch } from './change-cycle.ts';
import { clusterOfCandidate } from './fleet.ts';

/** Servers that are changed together, and what goes on serving meanwhile. */
export interface OutlinedBatch {
  readonly part: 'trial' | 'promotion';
  readonly servers: readonly string[];
  readonly serving: {
    readonly servers: number;
    /** Requests per second, where the plan states the capacity of every cluster that serves. */
    readonly perSecond: number | null;
  };
}

/**
 * The batches of an upgrade in their order, as far as the plan alone tells: for the trial every candidate cluster as it
 * drains, beside the servers that still serve the baseline; for the promotion of `winner` the losers' clusters and at
 * last the baseline's, beside the servers that run the winner.
 */
export function outlineBatches(plan: Plan, winner: string): readonly OutlinedBatch[] {
  return [...trialBatches(plan), ...promotionBatches(plan, winner)];
}

function trialBatches(plan: Plan): OutlinedBatch[] {
  const waiting = new Map(
    plan.candidates.map(({ version }) => {
      const cluster = clusterOfCandidate(plan, version);
      return [cluster, namesOf(plan, cluster)];
    }),
  );
  const batches: OutlinedBatch[] = [];
  const changed = new Set<string>();
  while ([...waiting.values()].some((servers) => servers.length > 0)) {
    const servers = [...waiting].flatMap(([cluster, left]) => {
      const { manner, batchSize } = drainOf(plan, cluster);
      return left.splice(0, manner === 'together' ? left.length : batchSize);
    });
    for (const server of servers) changed.add(server);
    batches.push({
      part: 'trial',
      servers,
      serving: capacityOf(plan, (server) => !changed.has(server)),
    });
  }
  return batches;
}

function promotionBatches(plan: Plan, winner: string): OutlinedBatch[] {
  const home = clusterOfCandidate(plan, winner);
  const losers = Object.keys(plan.clusters).filter(
    (cluster) => cluster !== home && cluster !== plan.baseline.cluster,
  );
  const upgraded = new Set(namesOf(plan, home));
  return [...losers, plan.baseline.cluster].flatMap((cluster) => {
    const left = namesOf(plan, cluster);
    const batches: OutlinedBatch[] = [];
    while (left.length > 0) {
      const servers = left.splice(0, promotionBatch(plan, cluster));
      batches.push({
        part: 'promotion',
        servers,
        serving: capacityOf(plan, (server) => upgraded.has(server)),
      });
      for (const server of servers) upgraded.add(server);
    }
    return batches;
  });
}

function namesOf(plan: Plan, cluster: string): string[] {
  return (plan.clusters[cluster]?.servers ?? []).map(({ name }) => name);
}

function capacityOf(plan: Plan, serves: (server: string) => boolean): OutlinedBatch['serving'] {
  const serving = Object.values(plan.clusters).map(({ capacity, servers }) => ({
    capacity,
    count: servers.filter(({ name }) => serves(name)).length,
  }));
  const isStated = serving.every(({ capacity, count }) => count === 0 || capacity !== undefined);
  return {
    servers: serving.reduce((sum, { count }) => sum + count, 0),
    perSecond: isStated ? serving.reduce((sum, { capacity = 0, count }) => sum + capacity * count, 0) : null,
  };
}
