import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import { callControl } from '../protocol/control-client.ts';
import {
  gatewayStatsSchema,
  routesCheckSchema,
  routesAckSchema,
  type GatewayStats,
  type RoutesAck,
} from '../protocol/gateway.ts';

/** A gateway that does not answer within this is unreachable for now, in milliseconds. */
const TIMEOUT_MS = 2_000;

/** Port `TrafficGateway` by the admin API, which every kind of gateway offers. Each call is tried once; whoever calls tries again. */
export function createGatewayOverHttp(
  address: { name: string; admin: string },
  options: { token?: string; timeoutMs?: number } = {},
): TrafficGateway {
  const callOf = (signal: AbortSignal | undefined) => ({
    baseUrl: address.admin,
    token: options.token,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    signal,
    peer: `gateway ${address.name}`,
    unreachable: 'GatewayUnreachable' as const,
  });
  const stats = (signal: AbortSignal | undefined): Promise<GatewayStats> =>
    callControl({ ...callOf(signal), method: 'GET', path: '/v1/stats', answer: gatewayStatsSchema });
  return {
    publish: (table, { signal }): Promise<RoutesAck> =>
      callControl({
        ...callOf(signal),
        method: 'PUT',
        path: '/v1/routes',
        body: table,
        answer: routesAckSchema,
      }),
    check: async (table, { signal }): Promise<string | null> => {
      const { problem } = await callControl({
        ...callOf(signal),
        method: 'POST',
        path: '/v1/routes/check',
        body: table,
        answer: routesCheckSchema,
      });
      return problem;
    },
    executing: async ({ signal }): Promise<RoutesAck> => {
      const { gateway, tableVersion } = await stats(signal);
      return { gateway, version: tableVersion };
    },
    stats: ({ signal }): Promise<GatewayStats> => stats(signal),
  };
}
