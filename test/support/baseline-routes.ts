import type { Plan } from '../../src/domain/plan/schema.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';

/** The routes before an upgrade: every server of the plan open, on the baseline. */
export function baselineRoutes(plan: Plan): RouteTable {
  return {
    service: plan.service,
    version: 1,
    mainRelease: plan.baseline.version,
    split: null,
    servers: Object.entries(plan.clusters).flatMap(([cluster, { servers }]) =>
      servers.map(({ name, url }) => ({
        name,
        url,
        cluster,
        release: plan.baseline.version,
        ingress: 'open' as const,
      })),
    ),
    transactions: null,
    measure: plan.measure,
  };
}
