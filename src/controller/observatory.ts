import { join } from 'node:path';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { TrafficCount } from '../domain/measure.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import type { ContextCounts, GatewayServer, GatewayStats } from '../protocol/gateway.ts';
import { noteExecuted } from './acknowledgements.ts';
import { createDeadlines } from './deadlines.ts';
import { readJsonFile } from './json-files.ts';
import { messageOf } from './publisher.ts';
import type { ServiceStore } from './service-store.ts';
import { serviceTrafficSchema, totalsOf, withReading, type ServiceTraffic } from './traffic-totals.ts';

/** For reading one gateway, in milliseconds. */
const READ_TIMEOUT_MS = 2_000;
/** What a gateway reported by itself stands for a reading this long, in milliseconds; it reports twice a second. */
const REPORT_HOLDS_MS = 3_000;

/** What one gateway said, or why it said nothing. */
export type Reading =
  | { readonly gateway: string; readonly stats: GatewayStats }
  | { readonly gateway: string; readonly problem: string };

/** What a gateway said by itself, and when by the monotonic clock. */
interface Report {
  readonly stats: GatewayStats;
  readonly atMs: number;
}

export interface Observatory {
  /** Reads every gateway of the service now, but those declared gone, and adds what they counted to the totals. */
  read(service: string): Promise<readonly Reading[]>;
  /** Totals over all gateways as far as they were read. */
  totals(service: string): readonly TrafficCount[];
  /** What was read of each gateway, by its epochs. */
  readings(service: string): ServiceTraffic;
  /**
   * Takes what a gateway says by itself that cannot be read (behind a firewall).
   *
   * @throws ChangeoverError `NotFound` for a gateway that the service does not have.
   */
  report(service: string, stats: GatewayStats): Promise<void>;
  /** Context counters as each gateway said last. */
  lastContext(service: string): ReadonlyMap<string, ContextCounts>;
  /** Servers as each gateway saw them at its last reading; a gateway that did not answer then is not contained. */
  lastServers(service: string): ReadonlyMap<string, readonly GatewayServer[]>;
  /** When all gateways that count had been read, by the monotonic clock; the start of this process where one never was. */
  readAtMs(service: string): number;
  /** Writes totals that changed. */
  persist(): Promise<void>;
  /** Ends readings that are under way, and refuses new ones. */
  stopReading(): Promise<void>;
  /** The same, and persists. */
  close(): Promise<void>;
}

/** Starts from what is in `stateDir`. @throws ChangeoverError `Internal` naming the file that is damaged. */
export async function openObservatory(deps: {
  store: ServiceStore;
  stateDir: string;
  gatewayFor: (address: GatewayAddress) => TrafficGateway;
  logger: Logger;
}): Promise<Observatory> {
  const { store, logger } = deps;
  const deadlines = createDeadlines();
  const fileOf = (service: string): string => join(deps.stateDir, `${service}.traffic.json`);
  const traffic = new Map<string, ServiceTraffic>();
  const dirty = new Set<string>();
  const servers = new Map<string, Map<string, readonly GatewayServer[]>>();
  const context = new Map<string, Map<string, ContextCounts>>();
  const reports = new Map<string, Map<string, Report>>();
  const startedAtMs = performance.now();
  const readAtMs = new Map<string, number>();
  for (const service of store.names()) {
    traffic.set(service, (await readJsonFile<ServiceTraffic>(fileOf(service), serviceTrafficSchema)) ?? {});
  }

  async function readGateway(service: string, address: GatewayAddress): Promise<Reading> {
    const gateway = address.name;
    const asOf = new Date().toISOString();
    try {
      const stats = await deadlines.run(READ_TIMEOUT_MS, (signal) =>
        deps.gatewayFor(address).stats({ signal }),
      );
      await take(service, gateway, { stats, asOf });
      return { gateway, stats };
    } catch (error) {
      const stats = reported(service, gateway);
      if (stats !== undefined) return { gateway, stats };
      servers.get(service)?.delete(gateway);
      const problem = messageOf(error);
      logger.debug({ service, gateway, problem }, 'a gateway could not be read');
      return { gateway, problem };
    }
  }

  async function take(
    service: string,
    gateway: string,
    { stats, asOf }: { stats: GatewayStats; asOf: string },
  ): Promise<void> {
    refuseOtherService(service, stats);
    record(service, gateway, stats);
    const at = new Date().toISOString();
    await noteExecuted(deps, service, { gateway, version: stats.tableVersion, by: 'reading', asOf, at });
  }

  /**
   * What a gateway reported a moment ago, if by the table that is active. By an older one it may have sent something
   * since to a server that is closed by now; by this one what is in flight there only ends (invariant 2).
   */
  function reported(service: string, gateway: string): GatewayStats | undefined {
    const last = reports.get(service)?.get(gateway);
    if (last === undefined || performance.now() - last.atMs > REPORT_HOLDS_MS) return undefined;
    return last.stats.tableVersion >= store.get(service).active.version ? last.stats : undefined;
  }

  async function report(service: string, stats: GatewayStats): Promise<void> {
    const { gateway } = stats;
    if (!store.get(service).gateways.some(({ address }) => address.name === gateway)) {
      throw new ChangeoverError('NotFound', `${service} has no gateway ${gateway}; add it to the plan.`);
    }
    await take(service, gateway, { stats, asOf: new Date().toISOString() });
    const known = reports.get(service) ?? new Map<string, Report>();
    reports.set(service, known.set(gateway, { stats, atMs: performance.now() }));
  }

  function record(service: string, gateway: string, stats: GatewayStats): void {
    const known = traffic.get(service) ?? {};
    traffic.set(service, { ...known, [gateway]: withReading(known[gateway], stats) });
    dirty.add(service);
    readAtMs.set(`${service}/${gateway}`, performance.now());
    const seen = servers.get(service) ?? new Map<string, readonly GatewayServer[]>();
    servers.set(service, seen.set(gateway, stats.servers));
    if (stats.context === undefined) return;
    const said = context.get(service) ?? new Map<string, ContextCounts>();
    context.set(service, said.set(gateway, stats.context));
  }

  async function persist(): Promise<void> {
    for (const service of [...dirty]) {
      dirty.delete(service);
      try {
        await writeFileAtomic(fileOf(service), `${JSON.stringify(traffic.get(service))}\n`);
      } catch (error) {
        dirty.add(service);
        throw error;
      }
    }
  }

  return {
    read: (service) => {
      const { gateways } = store.get(service);
      const counted = gateways.filter(({ state }) => state.excluded === undefined);
      return Promise.all(counted.map(({ address }) => readGateway(service, address)));
    },
    totals: (service) => totalsOf(traffic.get(service) ?? {}),
    readings: (service) => traffic.get(service) ?? {},
    lastServers: (service) => servers.get(service) ?? new Map<string, readonly GatewayServer[]>(),
    lastContext: (service) => context.get(service) ?? new Map<string, ContextCounts>(),
    readAtMs(service) {
      const { gateways } = store.get(service);
      const counted = gateways.filter(({ state }) => state.excluded === undefined);
      return Math.min(
        ...counted.map(({ address }) => readAtMs.get(`${service}/${address.name}`) ?? startedAtMs),
      );
    },
    report,
    persist,
    stopReading: () => deadlines.abortAll(),
    async close() {
      await deadlines.abortAll();
      await persist();
    },
  };
}

function refuseOtherService(service: string, stats: GatewayStats): void {
  if (stats.service === service || stats.tableVersion === 0) return;
  throw new ChangeoverError(
    'GatewayUnreachable',
    `gateway ${stats.gateway} serves ${stats.service}, not ${service}; the plan gives its address wrongly`,
  );
}
