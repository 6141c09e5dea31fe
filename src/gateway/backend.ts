import { buildConnector, Pool } from 'undici';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { Ingress, RouteServer } from '../domain/routes/table.ts';
import { BackendHealth } from './backend-health.ts';
import type { GatewayTimeouts } from './config.ts';
import type { TrafficRow } from './traffic-row.ts';

/** Bytes a connection had received when it broke: more than 0 means that it had been used before. */
const readBeforeError = new WeakMap<Error, number>();

/** True where the connection that broke had carried an exchange before: an idle one that the server closed. */
export function wasReused(error: Error): boolean {
  const noted = readBeforeError.get(error);
  if (noted !== undefined) return noted > 0;
  const info: unknown = 'socket' in error ? error.socket : undefined;
  return (
    typeof info === 'object' &&
    info !== null &&
    'bytesRead' in info &&
    typeof info.bytesRead === 'number' &&
    info.bytesRead > 0
  );
}

/**
 * One server as this gateway sees it. It outlives route tables, so that what is in flight is counted through every
 * change; its connections are closed as soon as it is neither open nor in use, because agents count established
 * connections to decide that a server is drained.
 */
export class Backend {
  readonly name: string;
  readonly origin: string;
  readonly health: BackendHealth;
  cluster: string;
  release: string;
  ingress: Ingress;
  /** Requests and upgraded connections under way. */
  inFlight = 0;
  /** Transactions that began here and are not over. */
  transactions = 0;
  /** Grows whenever transactions that began here cannot go on: closed, removed, or running another release. */
  generation = 0;
  /** Bucket → counters, for the present release. */
  readonly rows = new Map<string, TrafficRow>();
  readonly #timeouts: GatewayTimeouts;
  readonly #logger: Logger;
  #pool: Pool | null = null;

  constructor(server: RouteServer, options: { timeouts: GatewayTimeouts; logger: Logger }) {
    const url = new URL(server.url);
    this.name = server.name;
    this.origin = url.origin;
    this.cluster = server.cluster;
    this.release = server.release;
    this.ingress = server.ingress;
    this.#timeouts = options.timeouts;
    this.#logger = options.logger;
    this.health = new BackendHealth(url, {
      connectMs: options.timeouts.connectMs,
      logger: options.logger.child({ server: server.name }),
    });
  }

  get open(): boolean {
    return this.ingress === 'open';
  }

  /** Takes over what a new table says of this server. */
  update(server: Pick<RouteServer, 'cluster' | 'release' | 'ingress'>): void {
    const wasClosed = this.ingress === 'closed';
    const otherRelease = server.release !== this.release;
    if (otherRelease || server.cluster !== this.cluster) this.rows.clear();
    this.cluster = server.cluster;
    this.release = server.release;
    this.ingress = server.ingress;
    if (otherRelease || server.ingress === 'closed') {
      this.generation += 1;
      this.transactions = 0;
    }
    if (server.ingress !== 'open' || wasClosed) this.health.reset();
    // The server may have been restarted while closed: connections from before lead nowhere.
    if (wasClosed && server.ingress !== 'closed') this.#closePool();
    this.#closePoolWhenIdle();
  }

  /** The server left the service; what is in flight ends by itself. */
  retire(): void {
    this.update({ cluster: this.cluster, release: this.release, ingress: 'closed' });
  }

  /** Counted in the same tick as the server is picked: from then on nobody may find it idle (invariant 2). */
  take(): void {
    this.inFlight += 1;
  }

  giveBack(): void {
    this.inFlight -= 1;
    if (this.ingress !== 'open') this.#closePoolWhenIdle();
  }

  transactionOver(): void {
    this.transactions -= 1;
    if (this.ingress !== 'open') this.#closePoolWhenIdle();
  }

  pool(): Pool {
    this.#pool ??= new Pool(this.origin, {
      pipelining: 1,
      headersTimeout: this.#timeouts.upstreamHeadersMs,
      bodyTimeout: this.#timeouts.upstreamBodyIdleMs,
      connect: observingConnector(this.#timeouts.connectMs),
    });
    return this.#pool;
  }

  async destroy(): Promise<void> {
    this.health.reset();
    await this.#pool?.destroy();
  }

  #closePoolWhenIdle(): void {
    if (this.ingress !== 'open' && this.inFlight === 0 && this.transactions === 0) this.#closePool();
  }

  #closePool(): void {
    const pool = this.#pool;
    this.#pool = null;
    pool?.close().catch((error: unknown) => this.#logger.error({ err: error }, 'closing connections failed'));
  }
}

/** The usual connector, which also notes how much a connection had read when it broke. */
function observingConnector(connectMs: number): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs });
  return (options, callback) => {
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.on('error', function (this: Socket, error: Error) {
        readBeforeError.set(error, this.bytesRead);
      });
      callback(...result);
    });
  };
}
