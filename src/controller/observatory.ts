import { join } from 'node:path';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { TrafficCount } from '../domain/measure.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import type { GatewayServer, GatewayStats } from '../protocol/gateway.ts';
import { acknowledge } from './acknowledgements.ts';
import { createDeadlines } from './deadlines.ts';
import { readJsonFile } from './json-files.ts';
import { messageOf } from './publisher.ts';
import type { ServiceStore } from './service-store.ts';
import { serviceTrafficSchema, totalsOf, withReading, type ServiceTraffic } from './traffic-totals.ts';

/** For reading one gateway, in milliseconds. */
const READ_TIMEOUT_MS = 2_000;

/** What one gateway said, or why it said nothing. */
export type Reading =
  | { readonly gateway: string; readonly stats: GatewayStats }
  | { readonly gateway: string; readonly problem: string };

export interface Observatory {
  /** Reads every gateway of the service now and adds what they counted to the totals. */
  read(service: string): Promise<readonly Reading[]>;
  /** Totals over all gateways as far as they were read. */
  totals(service: string): readonly TrafficCount[];
  /** Servers as each gateway saw them at its last reading; a gateway that did not answer then is not contained. */
  lastServers(service: string): ReadonlyMap<string, readonly GatewayServer[]>;
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
      refuseOtherService(service, stats);
      record(service, gateway, stats);
      const ack = { gateway, version: stats.tableVersion, asOf, at: new Date().toISOString() };
      await store.update(service, (state) => acknowledge(state, ack));
      return { gateway, stats };
    } catch (error) {
      servers.get(service)?.delete(gateway);
      const problem = messageOf(error);
      logger.debug({ service, gateway, problem }, 'a gateway could not be read');
      return { gateway, problem };
    }
  }

  function record(service: string, gateway: string, stats: GatewayStats): void {
    const known = traffic.get(service) ?? {};
    traffic.set(service, { ...known, [gateway]: withReading(known[gateway], stats) });
    dirty.add(service);
    const seen = servers.get(service) ?? new Map<string, readonly GatewayServer[]>();
    servers.set(service, seen.set(gateway, stats.servers));
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
    read: (service) =>
      Promise.all(store.get(service).gateways.map(({ address }) => readGateway(service, address))),
    totals: (service) => totalsOf(traffic.get(service) ?? {}),
    lastServers: (service) => servers.get(service) ?? new Map<string, readonly GatewayServer[]>(),
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
