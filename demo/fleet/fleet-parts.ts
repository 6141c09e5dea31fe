import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { freePorts } from '../../src/dev-server/free-port.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import type { TemporalClient } from '../../src/temporal.ts';
import { TASK_QUEUE } from '../../src/workflows/messages.ts';
import { buildPackage, type BusinessRelease } from '../packages.ts';
import type { FleetConfig, GatewayKind } from './config.ts';
import { createFleetProcess, type FleetProcess, type FleetProcessConfig } from './fleet-process.ts';
import { createFleetServer, type FleetServer } from './fleet-server.ts';
import { until } from './until.ts';
import { FLEET_MARK, type WorkFolder } from './work-folder.ts';

export interface ControllerProcess extends FleetProcess {
  readonly url: string;
}

export interface GatewayProcess extends FleetProcess {
  readonly kind: GatewayKind;
  /** Where clients send their business. */
  readonly url: string;
  readonly adminUrl: string;
  /** Until it has routes and takes requests. */
  waitForTraffic(): Promise<void>;
  /** What carries the traffic, where that is another process. */
  readonly haproxy?: HaproxyControl;
  /** Renders the configuration for a plan, and reloads where it changed. */
  configureFor?(plan: Plan): Promise<void>;
}

export interface HaproxyControl {
  /** Of the master process. */
  readonly pid: number;
  /** Resolves when a new process was started for it. */
  reload(): Promise<void>;
  /** Without finishing anything. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** What all processes of a fleet have in common. */
export interface Surroundings {
  readonly work: WorkFolder;
  readonly config: FleetConfig;
  readonly env: Readonly<Record<string, string>>;
}

/** A gateway finishes what is in flight, and the load's slowest requests take three seconds. */
const GATEWAY_GRACE_MS = 5_000;
const CONTROLLER_GRACE_MS = 3_000;
const TRAFFIC_TIMEOUT_MS = 20_000;
/** A worker waits for activities that are under way: nobody needs them when a fleet is closed. */
const WORKER_GRACE_MS = 1_000;

export async function createController(around: Surroundings): Promise<ControllerProcess> {
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const state = join(around.work.path, 'controller');
  const controller = createFleetProcess({
    ...common(around, 'controller'),
    args: ['controller', '--listen', `127.0.0.1:${port}`, '--state', state],
    graceMs: CONTROLLER_GRACE_MS,
    isReady: async () => (await statusOf(`${url}/health`)) === 200,
  });
  return withFields(controller, { url });
}

export async function createGateway(
  around: Surroundings,
  parts: {
    name: string;
    service: string;
    controllerUrl: string;
    /** Further options of its command. */
    more?: readonly string[];
  },
): Promise<GatewayProcess> {
  const { name, service, controllerUrl, more = [] } = parts;
  const [port = 0, adminPort = 0] = await freePorts(2);
  const [url, adminUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`];
  const { isReady, waitForTraffic } = gatewayReadiness(around, name, adminUrl);
  const gateway = createFleetProcess({
    ...common(around, name),
    args: [
      ...['gateway', '--name', name, '--service', service],
      ...['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${adminPort}`],
      ...['--controller', controllerUrl, '--state', join(around.work.path, name)],
      ...more,
    ],
    graceMs: GATEWAY_GRACE_MS,
    isReady,
  });
  return withFields(gateway, { kind: 'embedded' as const, url, adminUrl, waitForTraffic });
}

export function gatewayReadiness(around: Surroundings, name: string, adminUrl: string) {
  const takesTraffic = async (): Promise<boolean> => (await statusOf(`${adminUrl}/health`)) === 200;
  let hadRoutes = false;
  return {
    // Until the service is adopted there are no routes, and it takes no traffic (503).
    isReady: async (): Promise<boolean> => {
      const ready = await takesTraffic();
      hadRoutes ||= ready;
      return ready || !hadRoutes;
    },
    waitForTraffic: (): Promise<void> =>
      until(`${name} takes traffic`, takesTraffic, {
        timeoutMs: TRAFFIC_TIMEOUT_MS,
        signal: around.config.signal,
      }),
  };
}

export function createWorkerProcess(
  around: Surroundings,
  { name, client }: { name: string; client: () => TemporalClient },
): FleetProcess {
  return createFleetProcess({
    ...common(around, name),
    args: ['worker'],
    graceMs: WORKER_GRACE_MS,
    isReady: (pid) => isPolling(client(), pid),
  });
}

export async function createServers(
  around: Surroundings,
  clusters: Readonly<Record<string, number>>,
  { service, env }: { service: string; env?: (index: number) => Readonly<Record<string, string>> },
): Promise<FleetServer[]> {
  const { work } = around;
  const names = Object.entries(clusters).flatMap(([cluster, count]) =>
    Array.from({ length: count }, (_, index) => ({ cluster, name: `${cluster}-${index + 1}` })),
  );
  const packageFolder = packageFolderOf(work);
  return Promise.all(
    names.map((at, index) =>
      createFleetServer({
        ...at,
        service,
        ...(env === undefined ? {} : { env: env(index) }),
        folder: work.path,
        packageFolder,
        process: common(around, at.name),
      }),
    ),
  );
}

/** Version → its package, each packed in the fleet's folder. */
export async function packReleases(
  work: WorkFolder,
  releases: readonly BusinessRelease[],
): Promise<Record<string, Package>> {
  const outDir = packageFolderOf(work);
  const packed = await Promise.all(releases.map((release) => buildPackage({ ...release, outDir })));
  return Object.fromEntries(packed.map((one) => [one.version, one]));
}

/**
 * Environment of the fleet's processes: what the user has set for a production of their own must not reach it.
 */
export function environmentOf(
  work: WorkFolder,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(TEMPORAL_|CHANGEOVER_|LOG_LEVEL$)/.test(entry[0]),
  );
  return { ...Object.fromEntries(inherited), ...own, [FLEET_MARK]: work.path };
}

export async function makeFolders(work: WorkFolder): Promise<void> {
  for (const name of ['logs', 'packages', 'servers']) await mkdir(join(work.path, name), { recursive: true });
}

function packageFolderOf(work: WorkFolder): string {
  return join(work.path, 'packages');
}

export function common(
  { work, config, env }: Surroundings,
  name: string,
): Pick<FleetProcessConfig, 'name' | 'env' | 'logFile' | 'onSpawn' | 'onUnexpectedEnd' | 'signal'> {
  return {
    name,
    env,
    logFile: join(work.path, 'logs', `${name}.log`),
    onSpawn: (spawned, pid) => work.record(spawned, pid),
    onUnexpectedEnd: config.onUnexpectedEnd,
    signal: config.signal,
  };
}

/** The process with more fields; its getters (pid, running) stay live. */
function withFields<Fields extends object>(process: FleetProcess, fields: Fields): FleetProcess & Fields {
  return Object.assign(process, fields);
}

/** @throws where nothing answers */
async function statusOf(url: string): Promise<number> {
  const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(1_000) });
  await body.dump();
  return statusCode;
}

/** A worker is ready once Temporal sees it poll; workers that were killed stay on the list, under another number. */
async function isPolling({ connection, namespace }: TemporalClient, pid: number): Promise<boolean> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: TASK_QUEUE },
  });
  return pollers.some(({ identity }) => identity?.startsWith(`${pid}@`) ?? false);
}
