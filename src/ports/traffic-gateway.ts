import type { RouteTable } from '../domain/routes/table.ts';
import type { GatewayStats, RoutesAck } from '../protocol/gateway.ts';

/**
 * A proxy gateway as the flow controller sees it: set, verify, read.
 *
 * @throws ChangeoverError `GatewayUnreachable` when it does not answer.
 */
export interface TrafficGateway {
  /** Hands the table over. The answer names the version that is executed now: this one, or a newer one it has. */
  publish(table: RouteTable, options: { signal?: AbortSignal }): Promise<RoutesAck>;
  /** Why it could not execute the table if that were published (a lookup file is missing); null where it could. */
  check(table: RouteTable, options: { signal?: AbortSignal }): Promise<string | null>;
  /** The version that the data plane executes now, read back. */
  executing(options: { signal?: AbortSignal }): Promise<RoutesAck>;
  stats(options: { signal?: AbortSignal }): Promise<GatewayStats>;
}
