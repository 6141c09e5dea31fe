import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import type { TrafficCount } from '../../src/domain/measure.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { createControlApp, listen, readBody, type Listening } from '../../src/protocol/control-server.ts';
import type { GatewayAddress } from '../../src/protocol/controller.ts';
import type { GatewayStats, GatewayUnits } from '../../src/protocol/gateway.ts';
import { routeTableSchema } from '../../src/protocol/routes.ts';

/** A gateway's admin API without a data plane: holds the table that it was given, and the counters that a test sets. */
export interface StubGateway extends AsyncDisposable {
  readonly address: GatewayAddress;
  table: RouteTable | undefined;
  counts: TrafficCount[];
  /** What it counted for the decision. */
  units: GatewayUnits | undefined;
  inFlight: Record<string, number>;
  /** Resolves when its counters have been read once more. */
  nextReading(): Promise<void>;
  /** What `GET /v1/stats` answers. */
  stats(): GatewayStats;
  /** Versions that were pushed, in order. */
  readonly pushed: number[];
  /** What it lacks for other routes. */
  problem: string | null;
  /** Answers nothing at all while set. */
  hangs: boolean;
  /** Stops listening, as a killed process does. */
  stop(): Promise<void>;
  /** Listens again on the same port, with counters at zero. */
  restart(options?: { keepTable?: boolean }): Promise<void>;
}

export async function startStubGateway(name = 'gw-1', service = 'shop'): Promise<StubGateway> {
  let epoch = randomUUID();
  let listening: Listening | undefined;
  const app = createControlApp({ logger: pino({ level: 'silent' }) });
  app.use(async (_, next) => {
    if (gateway.hangs) await new Promise(() => undefined);
    await next();
  });
  const ack = () => ({ gateway: name, version: gateway.table?.version ?? 0 });
  app.put('/v1/routes', async (c) => {
    const table = await readBody<RouteTable>(c, routeTableSchema);
    gateway.pushed.push(table.version);
    if (table.version > ack().version) gateway.table = table;
    return c.json(ack());
  });
  app.post('/v1/routes/check', (c) => c.json({ problem: gateway.problem }));
  app.get('/v1/routes', (c) => c.json(ack()));
  const waiting: (() => void)[] = [];
  app.get('/v1/stats', (c) => {
    for (const resolve of waiting.splice(0)) resolve();
    return c.json(gateway.stats());
  });

  listening = await listen(app, { host: '127.0.0.1', port: 0 });
  const { url, port } = listening;
  const gateway: StubGateway = {
    address: { name, kind: 'embedded', admin: url },
    table: undefined,
    counts: [],
    units: undefined,
    inFlight: {},
    nextReading: () => new Promise((resolve) => waiting.push(resolve)),
    stats: () => ({
      gateway: name,
      service,
      epoch,
      tableVersion: ack().version,
      servers: (gateway.table?.servers ?? []).map((server) => ({
        name: server.name,
        inFlight: gateway.inFlight[server.name] ?? 0,
        transactions: 0,
        healthy: true,
      })),
      counts: gateway.counts.map((row) => ({ ...row, latency: [...row.latency] })),
      ...(gateway.units === undefined ? {} : { units: gateway.units }),
    }),
    pushed: [],
    problem: null,
    hangs: false,
    async stop() {
      await listening?.close();
      listening = undefined;
    },
    async restart({ keepTable = true } = {}) {
      await gateway.stop();
      epoch = randomUUID();
      gateway.counts = [];
      gateway.units = undefined;
      if (!keepTable) gateway.table = undefined;
      listening = await listen(app, { host: '127.0.0.1', port });
    },
    [Symbol.asyncDispose]: () => gateway.stop(),
  };
  return gateway;
}
