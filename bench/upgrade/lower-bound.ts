import type { Batch, Span } from './batches.ts';
import type { Drain } from './busy-watch.ts';
import type { Restart } from './restarts.ts';

/** What changing one server cannot do without, in milliseconds, as it really was. */
export interface ServerBound {
  readonly server: string;
  /** From the last gateway's acknowledgement of the closing to the last business in flight. */
  readonly drainMs: number;
  /** From SIGTERM to the exit. */
  readonly stopMs: number;
  /** From the start of the process to the moment from which it answers its health check. */
  readonly startMs: number;
  readonly totalMs: number;
}

/**
 * The slowest server of a batch: the batch cannot be over sooner, even if nobody had to notice, decide, tell or write
 * anything.
 *
 * @throws where the records say nothing of a server
 */
export function slowestOf(
  batch: Batch,
  records: { drains: readonly Drain[]; restarts: readonly Restart[] },
): ServerBound {
  const bounds = batch.servers.map((server) => boundOf(server, batch, records));
  return bounds.reduce((slowest, bound) => (bound.totalMs > slowest.totalMs ? bound : slowest));
}

function boundOf(
  server: string,
  batch: Span,
  { drains, restarts }: { drains: readonly Drain[]; restarts: readonly Restart[] },
): ServerBound {
  const drain = drains.find((one) => one.server === server && isWithin(one.closedAt, batch));
  const restart = restarts.find((one) => one.server === server && isWithin(one.stoppingAt, batch));
  if (drain === undefined) throw new Error(`nobody saw ${server} drain`);
  if (restart === undefined) throw new Error(`${server} recorded no restart`);
  const drainMs = Math.max(0, drain.lastBusyAt - drain.closedAt);
  const stopMs = restart.stoppedAt - restart.stoppingAt;
  const startMs = restart.servingAt - restart.spawnedAt;
  return { server, drainMs, stopMs, startMs, totalMs: drainMs + stopMs + startMs };
}

function isWithin(at: number, { from, until }: Span): boolean {
  return at >= from && at <= until;
}
