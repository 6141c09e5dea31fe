import { countingRules } from '../measure.ts';
import type { Plan } from './schema.ts';

/**
 * What the flow controller has to know of a service that it takes under management: every server of the plan, open, on
 * the baseline. (Structurally the `ServiceDefinition` of the controller's protocol.)
 */
export function planToServiceDefinition(plan: Plan) {
  const servers = Object.entries(plan.clusters).flatMap(([cluster, members]) =>
    members.servers.map(({ name, url }) => ({ name, cluster, url })),
  );
  return {
    release: plan.baseline.version,
    servers,
    gateways: plan.gateways,
    measure: countingRules(plan.measure),
    transactions: plan.traffic.transactions ?? null,
  };
}
