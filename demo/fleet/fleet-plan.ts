import { ChangeoverError } from '../../src/domain/errors.ts';
import { formatPlanProblems } from '../../src/domain/plan/problem.ts';
import { readPlan } from '../../src/domain/plan/read-plan.ts';
import type { Plan, PlanInput } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import { demoPlan } from '../plan.ts';
import { serviceOf, type FleetSettings } from './config.ts';
import type { GatewayProcess } from './fleet-parts.ts';
import type { FleetServer } from './fleet-server.ts';

/** The demo's plan for the servers and gateways of a fleet. */
export function fleetPlan(parts: {
  settings: FleetSettings;
  packages: Readonly<Record<string, Package>>;
  servers: readonly FleetServer[];
  gateways: readonly GatewayProcess[];
}): PlanInput {
  const { settings, packages, servers, gateways } = parts;
  const { baseline, candidates } = settings;
  const clusters = Object.keys(settings.clusters).map((name) => ({
    name,
    servers: servers.filter(({ cluster }) => cluster === name),
  }));
  return demoPlan({ service: serviceOf(settings), baseline, candidates, packages, clusters, gateways });
}

/** @throws ChangeoverError `InvalidPlan` with everything that is wrong */
export function checkedPlan(input: PlanInput): Plan {
  const read = readPlan(input);
  if (read.ok) return read.plan;
  throw new ChangeoverError('InvalidPlan', formatPlanProblems(read.problems), {
    details: { problems: read.problems },
  });
}
