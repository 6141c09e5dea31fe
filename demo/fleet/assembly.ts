import { join } from 'node:path';
import { ChangeoverError } from '../../src/domain/errors.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import { connectTemporal, type TemporalClient } from '../../src/temporal.ts';
import { BASELINE } from '../packages.ts';
import { SERVICE } from '../plan.ts';
import { gatewayKinds, serviceOf, type FleetSettings } from './config.ts';
import {
  createController,
  createGateway,
  createServers,
  createWorkerProcess,
  environmentOf,
  makeFolders,
  packReleases,
  type ControllerProcess,
  type GatewayProcess,
} from './fleet-parts.ts';
import type { FleetProcess } from './fleet-process.ts';
import type { FleetServer } from './fleet-server.ts';
import { fleetPlan, checkedPlan } from './fleet-plan.ts';
import { createHaproxyGateway } from './haproxy-gateway.ts';
import { inLanes } from './lanes.ts';
import { createTemporalProcess, type TemporalProcess } from './temporal-process.ts';
import { createWebTier, type WebTier } from './web-tier.ts';
import { openWorkFolder, type WorkFolder } from './work-folder.ts';

/** All parts of a fleet, each with its folder and ports; and the client once Temporal runs. */
export interface FleetAssembly {
  readonly work: WorkFolder;
  readonly env: Readonly<Record<string, string>>;
  readonly packages: Readonly<Record<string, Package>>;
  readonly temporal: TemporalProcess;
  readonly controller: ControllerProcess;
  readonly gateways: readonly GatewayProcess[];
  readonly workers: readonly FleetProcess[];
  readonly servers: readonly FleetServer[];
  /** In front of an inner service. */
  readonly web: WebTier | null;
  /** @throws before `connect` */
  readonly connected: () => TemporalClient;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/** So many processes start at once: each keeps a core busy for half a second. */
const STARTS_AT_ONCE = 4;

/** Packs the releases and writes configurations; nothing is started yet. */
export async function assemble(settings: FleetSettings): Promise<FleetAssembly> {
  const work = await openWorkFolder(settings.folder);
  await makeFolders(work);
  const packages = await packReleases(work, [
    settings.baseline,
    ...settings.candidates,
    ...(settings.tiers === true ? [BASELINE] : []),
  ]);
  const temporal = await createTemporalProcess({
    folder: work.path,
    onSpawn: (name, pid) => work.record(name, pid),
    onProgress: settings.onProgress,
  });
  const common = { work, config: settings };
  const logging = { LOG_LEVEL: settings.logLevel };
  const controller = await createController({ ...common, env: environmentOf(work, logging) });
  const env = environmentOf(work, {
    ...logging,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_UI_URL: temporal.uiUrl,
    CHANGEOVER_CONTROLLER_URL: controller.url,
    CHANGEOVER_REPORT_DIR: settings.reportDir ?? join(work.path, 'reports'),
  });
  const around = { ...common, env };
  const servers = await createServers(around, settings.clusters, { service: serviceOf(settings) });
  const kinds = gatewayKinds(settings);
  const planOf = (): Plan => checkedPlan(fleetPlan({ settings, packages, servers, gateways }));
  const gateways: GatewayProcess[] = await Promise.all(
    numbered(settings.tiers === true ? 'sidecar' : 'gateway', kinds.length).map((name, index) => {
      const common = { name, service: serviceOf(settings), controllerUrl: controller.url };
      if (kinds[index] === 'haproxy') return createHaproxyGateway(around, { ...common, planOf });
      return createGateway(around, {
        ...common,
        more: settings.tiers === true ? ['--role', 'sidecar'] : [],
      });
    }),
  );
  let client: TemporalClient | undefined;
  const connected = (): TemporalClient => there(client, 'Temporal client');
  const workers = numbered('worker', settings.workers).map((name) =>
    createWorkerProcess({ ...common, env: { ...env, ...settings.workerEnv } }, { name, client: connected }),
  );
  const web =
    settings.tiers === true
      ? await createWebTier(around, {
          controllerUrl: controller.url,
          sidecars: gateways,
          release: there(packages[BASELINE.version], 'package of the web layer'),
        })
      : null;
  return {
    ...{ work, env, packages, temporal, controller, gateways, workers, servers, web, connected },
    connect: async () => {
      client = await connectTemporal({ TEMPORAL_ADDRESS: temporal.address });
    },
    disconnect: async () => client?.close(),
  };
}

/** Orchestration and servers at the same time, the first release installed by each server's agent. */
export async function startAll(parts: FleetAssembly, settings: FleetSettings): Promise<void> {
  const { temporal, workers, controller, gateways, servers, web, packages } = parts;
  const baseline = there(packages[settings.baseline.version], 'package of the baseline');

  async function startOrchestration(): Promise<void> {
    await temporal.start();
    settings.signal?.throwIfAborted();
    await parts.connect();
    await Promise.all(workers.map((worker) => worker.start()));
  }
  async function startServer(server: FleetServer): Promise<void> {
    await server.agent.start();
    await server.install(serviceOf(settings), baseline);
  }
  async function startWebServer(server: FleetServer): Promise<void> {
    await server.agent.start();
    await server.install(SERVICE, there(packages[BASELINE.version], 'package of the web layer'));
  }

  const starts = [
    () => controller.start(),
    ...gateways.map((gateway) => () => gateway.start()),
    ...servers.map((server) => () => startServer(server)),
    ...(web === null ? [] : [() => web.edge.start()]),
    ...(web?.servers ?? []).map((server) => () => startWebServer(server)),
  ];
  const lanes = inLanes(starts, STARTS_AT_ONCE, (start) => start());
  throwFirst(await Promise.allSettled([startOrchestration(), lanes]));
}

/** The last first. What fails to end does not keep the rest from ending; it is ended by force then. */
export async function closeAll(parts: FleetAssembly, { keepFolder }: FleetSettings): Promise<void> {
  const { work, temporal, workers, controller, gateways, servers, web } = parts;
  const steps = [
    () => Promise.all(workers.map((worker) => worker.stop())),
    () => parts.disconnect(),
    () => Promise.all([...servers, ...(web?.servers ?? [])].map(({ agent }) => agent.stop())),
    () => Promise.all([...gateways, ...(web === null ? [] : [web.edge])].map((gateway) => gateway.stop())),
    () => controller.stop(),
    () => temporal.stop(),
    () => work.endAll(),
  ];
  const ended: PromiseSettledResult<unknown>[] = [];
  for (const step of steps) ended.push(...(await Promise.allSettled([step()])));
  if (keepFolder !== true) await work.remove();
  throwFirst(ended);
}

function throwFirst(ended: readonly PromiseSettledResult<unknown>[]): void {
  const failure = ended.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => (count === 1 ? name : `${name}-${index + 1}`));
}

/** @throws ChangeoverError `Internal` where it is not */
export function there<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ChangeoverError('Internal', `This fleet has no ${what}.`);
  return value;
}
