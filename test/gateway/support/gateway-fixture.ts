import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createGatewayOverHttp } from '../../../src/adapters/gateway-over-http.ts';
import type { TrafficCount } from '../../../src/domain/measure.ts';
import type { TrafficGateway } from '../../../src/ports/traffic-gateway.ts';
import type { RouteServer, RouteTable } from '../../../src/domain/routes/table.ts';
import type { GatewayConfigInput } from '../../../src/gateway/config.ts';
import { createGateway, type Gateway } from '../../../src/gateway/gateway.ts';
import type { GatewayServer } from '../../../src/protocol/gateway.ts';
import { UpstreamServer } from './upstream-server.ts';

export const SERVICE = 'shop';

/** A route table with one main release `1.0`, everything open unless said otherwise. */
export function tableOf(
  upstreams: readonly (UpstreamServer | RouteServer)[],
  changes: Partial<RouteTable> = {},
): RouteTable {
  return {
    service: SERVICE,
    version: 1,
    mainRelease: '1.0',
    split: null,
    servers: upstreams.map((upstream) =>
      upstream instanceof UpstreamServer ? serverOf(upstream) : upstream,
    ),
    transactions: null,
    measure: { allocated: {}, volume: { kind: 'successes', match: { status: '2xx' } }, slowMs: 1_000 },
    ...changes,
  };
}

export function serverOf(
  { name, url }: Pick<RouteServer, 'name' | 'url'>,
  changes: Partial<RouteServer> = {},
): RouteServer {
  return {
    name,
    cluster: 'main',
    url,
    release: '1.0',
    ingress: 'open',
    ...changes,
  };
}

/** A gateway on free ports with its state in a folder of its own, and upstream servers that end with it. */
export class GatewayFixture implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly folder: string;
  readonly admin: TrafficGateway;
  readonly #upstreams: readonly AsyncDisposable[];

  private constructor(gateway: Gateway, folder: string, upstreams: readonly AsyncDisposable[]) {
    this.gateway = gateway;
    this.folder = folder;
    this.admin = createGatewayOverHttp(
      { name: 'gw-1', admin: gateway.adminUrl ?? '' },
      // Clients, servers and gateway share one process here: what is slow then is not the gateway.
      { timeoutMs: 20_000 },
    );
    this.#upstreams = upstreams;
  }

  static async start(
    table: RouteTable | null,
    options: {
      config?: Partial<GatewayConfigInput>;
      upstreams?: readonly AsyncDisposable[];
      folder?: string;
      now?: () => number;
    } = {},
  ): Promise<GatewayFixture> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'gateway-')));
    const gateway = createGateway(
      {
        name: 'gw-1',
        service: SERVICE,
        listen: { host: '127.0.0.1', port: 0 },
        admin: { port: 0 },
        stateDir: folder,
        shutdownGraceMs: 2_000,
        lastCallMs: 20,
        lastReadMs: 20,
        ...options.config,
      },
      {
        logger: pino({ level: process.env['GATEWAY_LOG'] ?? 'silent' }),
        ...(options.now === undefined ? {} : { now: options.now }),
      },
    );
    await gateway.start();
    const fixture = new GatewayFixture(gateway, folder, options.upstreams ?? []);
    if (table !== null) await fixture.admin.publish(table, {});
    if (table !== null) await until(() => gateway.trafficUrl !== null);
    return fixture;
  }

  get url(): string {
    return this.gateway.trafficUrl ?? 'http://the-traffic-port-is-not-open';
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async counts(): Promise<readonly TrafficCount[]> {
    return (await this.admin.stats({})).counts;
  }

  async load(server: string): Promise<GatewayServer> {
    const load = (await this.admin.stats({})).servers.find((each) => each.name === server);
    return load ?? { name: server, inFlight: 0, transactions: 0, healthy: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gateway.close();
    await Promise.all(this.#upstreams.map((upstream) => upstream[Symbol.asyncDispose]()));
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits until a condition holds; fails after ten seconds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what = 'the condition',
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function sum(counts: readonly TrafficCount[], field: keyof TrafficCount): number {
  return counts.reduce((total, count) => total + Number(count[field]), 0);
}
