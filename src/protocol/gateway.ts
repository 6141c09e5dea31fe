import { z } from 'zod';
import type { TrafficCount } from '../domain/measure.ts';

/**
 * Admin API of a gateway, apart from its traffic port: `PUT /v1/routes` (a RouteTable; answers RoutesAck),
 * `POST /v1/routes/check` (a RouteTable; answers RoutesCheck, changes nothing), `GET /v1/routes`, `GET /v1/stats`, `GET /health`, `GET /metrics`.
 */

/** The version that the gateway executes now. An older table changes nothing, and the newer version is named. */
export const routesAckSchema = z.object({ gateway: z.string(), version: z.int().nonnegative() });
export type RoutesAck = z.infer<typeof routesAckSchema>;

/** Why the gateway could not execute the table; null where it could. */
export const routesCheckSchema = z.object({ problem: z.string().nullable() });
export type RoutesCheck = z.infer<typeof routesCheckSchema>;

const count = z.int().nonnegative();

export const trafficCountSchema = z.object({
  release: z.string(),
  cluster: z.string(),
  server: z.string(),
  bucket: z.string(),
  requests: count,
  allocated: count,
  succeeded: count,
  clientErrors: count,
  serverErrors: count,
  failed: count,
  aborted: count,
  slow: count,
  volumeCount: count,
  volumeAmount: z.number(),
  unreadAmounts: count.exactOptional(),
  latency: z.array(count),
  latencySumMs: z.number().nonnegative(),
}) satisfies z.ZodType<TrafficCount>;

export const gatewayServerSchema = z.object({
  name: z.string(),
  /** Requests (and upgraded connections) under way to this server. */
  inFlight: count,
  /** Transactions that began there and are not over, whether or not a request of theirs is under way. */
  transactions: count,
  healthy: z.boolean(),
});
export type GatewayServer = z.infer<typeof gatewayServerSchema>;

/** What became of the routing context that travels in `baggage`; see docs/routing-context.md. */
export const contextCountsSchema = z.object({
  /** Requests that came to a sidecar without a decision for its service. */
  missing: count,
  /** Decisions that could not be followed any longer, because the release is out. */
  outdated: count,
  /** Requests whose baggage had no room for the context. */
  dropped: count,
});
export type ContextCounts = z.infer<typeof contextCountsSchema>;

/**
 * What a gateway counted for the decision since its epoch began, for one (table version, release, group): units whose
 * outcomes are all known, or timed out. Only grows within an epoch; units enter in the order of their assignment, so
 * that slow successes are not missing beside quick failures.
 */
export const unitCountSchema = z.object({
  tableVersion: count,
  release: z.string(),
  group: z.string(),
  n: count,
  /** Outcomes between 0 and 1, added up; their squares; and the same before they were capped. */
  sum: z.number().nonnegative(),
  squares: z.number().nonnegative(),
  uncapped: z.number(),
  /** Accounts dealt to the release that never entered, as it had no server for them; absent where that is not known. */
  passed: count.exactOptional(),
});
export type UnitCount = z.infer<typeof unitCountSchema>;

export const gatewayUnitsSchema = z.object({
  /** Salt of the split that is counted: another trial counts anew. */
  trial: z.string(),
  counts: z.array(unitCountSchema),
  /** Units assigned whose outcome is awaited. */
  pending: count,
  /** Accounts that were not entered because the gateway knows as many as it can hold. */
  beyond: count,
});
export type GatewayUnits = z.infer<typeof gatewayUnitsSchema>;

export const gatewayStatsSchema = z.object({
  gateway: z.string(),
  service: z.string(),
  /** Changes at each start of the gateway: counters begin at zero with it. */
  epoch: z.string(),
  tableVersion: count,
  servers: z.array(gatewayServerSchema),
  counts: z.array(trafficCountSchema),
  /** Absent from gateways that do not carry context. */
  context: contextCountsSchema.optional(),
  /** Absent where the table asks for no counting by unit. */
  units: gatewayUnitsSchema.optional(),
});
export type GatewayStats = z.infer<typeof gatewayStatsSchema>;
