import { z } from 'zod';
import type { TrafficCount } from '../domain/measure.ts';

/**
 * Admin API of a gateway, apart from its traffic port: `PUT /v1/routes` (a RouteTable; answers RoutesAck),
 * `GET /v1/routes`, `GET /v1/stats`, `GET /health`, `GET /metrics`.
 */

/** The version that the gateway executes now. An older table changes nothing, and the newer version is named. */
export const routesAckSchema = z.object({ gateway: z.string(), version: z.int().nonnegative() });
export type RoutesAck = z.infer<typeof routesAckSchema>;

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

export const gatewayStatsSchema = z.object({
  gateway: z.string(),
  service: z.string(),
  /** Changes at each start of the gateway: counters begin at zero with it. */
  epoch: z.string(),
  tableVersion: count,
  servers: z.array(gatewayServerSchema),
  counts: z.array(trafficCountSchema),
});
export type GatewayStats = z.infer<typeof gatewayStatsSchema>;
