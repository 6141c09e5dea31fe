import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import { formatPlanProblems } from '../../src/domain/plan/problem.ts';
import { readPlan } from '../../src/domain/plan/read-plan.ts';
import { planToServiceDefinition } from '../../src/domain/plan/service-definition.ts';
import type { Plan, PlanInput } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import { startUpgrade, type StartedUpgrade } from '../../src/starter.ts';
import { connectTemporal, type TemporalClient } from '../../src/temporal.ts';
import { workflowIdOf } from '../../src/workflows/messages.ts';
import { demoPlan, SERVICE } from '../plan.ts';
import { FLEET_DEFAULTS, type FleetConfig } from './config.ts';
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
  type Surroundings,
} from './fleet-parts.ts';
import type { FleetProcess } from './fleet-process.ts';
import type { FleetServer } from './fleet-server.ts';
import { inLanes } from './lanes.ts';
import { createTemporalProcess, type TemporalProcess } from './temporal-process.ts';
import { openWorkFolder, sweepLeftovers } from './work-folder.ts';

/** All of Changeover on this machine, each part a real process started by the product's own command line. */
export interface Fleet extends AsyncDisposable {
  readonly service: string;
  readonly folder: string;
  /** Environment in which the product's commands find this fleet. */
  readonly env: Readonly<Record<string, string>>;
  readonly temporal: TemporalProcess;
  readonly controller: ControllerProcess;
  readonly gateways: readonly GatewayProcess[];
  /** The first of them. */
  readonly gateway: GatewayProcess;
  readonly workers: readonly FleetProcess[];
  readonly worker: FleetProcess;
  readonly servers: readonly FleetServer[];
  /** Version → package. */
  readonly packages: Readonly<Record<string, Package>>;
  readonly client: TemporalClient;
  /** The flow controller's API. */
  readonly registry: ReturnType<typeof createFlowController>;
  /** @throws where there is no such server */
  server(name: string): FleetServer;
  /** The demo's plan for this fleet, with what differs. */
  plan(change?: Partial<PlanInput>): PlanInput;
  /** Takes the service under management, and waits until every gateway takes traffic. */
  adopt(plan?: PlanInput): Promise<void>;
  /** Starts the upgrade. @throws ChangeoverError `InvalidPlan` */
  start(plan?: PlanInput): Promise<StartedUpgrade>;
  /** Of the service's upgrade. */
  readonly handle: WorkflowHandle;
  /** Ends everything, the last first. Safe to repeat. */
  close(): Promise<void>;
}

/** So many processes start at once: each keeps a core busy for half a second. */
const STARTS_AT_ONCE = 4;

/**
 * Starts everything, with the baseline installed on every server by its agent. What an earlier fleet left behind, whose
 * owner was killed, is ended first.
 */
export async function createFleet(config: FleetConfig = {}): Promise<Fleet> {
  const settings = { ...FLEET_DEFAULTS, ...config };
  const swept = await sweepLeftovers();
  if (swept > 0) config.onProgress?.(`Ended what ${swept} earlier run${swept === 1 ? '' : 's'} left behind`);
  const work = await openWorkFolder(config.folder);
  await makeFolders(work);

  const packages = await packReleases(work, [settings.baseline, ...settings.candidates]);
  const onSpawn = (name: string, pid: number): Promise<void> => work.record(name, pid);
  const temporal = await createTemporalProcess({ folder: work.path, onSpawn, onProgress: config.onProgress });
  const around = (env: Record<string, string>): Surroundings => ({ work, config, env });
  const controller = await createController(around(environmentOf(work, { LOG_LEVEL: settings.logLevel })));
  const env = environmentOf(work, {
    LOG_LEVEL: settings.logLevel,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_UI_URL: temporal.uiUrl,
    CHANGEOVER_CONTROLLER_URL: controller.url,
    CHANGEOVER_REPORT_DIR: settings.reportDir ?? join(work.path, 'reports'),
  });
  const gateways = await Promise.all(
    numbered('gateway', settings.gateways).map((name) =>
      createGateway(around(env), { name, controllerUrl: controller.url }),
    ),
  );
  let client: TemporalClient | undefined;
  const connected = (): TemporalClient => there(client, 'Temporal client');
  const workers = numbered('worker', settings.workers).map((name) =>
    createWorkerProcess(around({ ...env, ...config.workerEnv }), { name, client: connected }),
  );
  const servers = await createServers(around(env), settings.clusters);
  const registry = createFlowController({ url: controller.url });

  async function startOrchestration(): Promise<void> {
    await temporal.start();
    config.signal?.throwIfAborted();
    client = await connectTemporal({ TEMPORAL_ADDRESS: temporal.address });
    await Promise.all(workers.map((worker) => worker.start()));
  }

  async function startServer(server: FleetServer): Promise<void> {
    await server.agent.start();
    await server.install(SERVICE, there(packages[settings.baseline.version], 'package'));
  }

  async function startAll(): Promise<void> {
    const starts = [
      () => controller.start(),
      ...gateways.map((gateway) => () => gateway.start()),
      ...servers.map((server) => () => startServer(server)),
    ];
    const lanes = inLanes(starts, STARTS_AT_ONCE, (start) => start());
    const ended = await Promise.allSettled([startOrchestration(), lanes]);
    const failure = ended.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  async function closeAll(): Promise<void> {
    await Promise.all(workers.map((worker) => worker.stop()));
    await client?.close();
    await Promise.all(servers.map(({ agent }) => agent.stop()));
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await controller.stop();
    await temporal.stop();
    await work.endAll();
    if (settings.keepFolder !== true) await work.remove();
  }
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll());

  function plan(change: Partial<PlanInput> = {}): PlanInput {
    const clusters = Object.keys(settings.clusters).map((name) => ({
      name,
      servers: servers.filter(({ cluster }) => cluster === name),
    }));
    const { baseline, candidates } = settings;
    return { ...demoPlan({ baseline, candidates, packages, clusters, gateways }), ...change };
  }

  async function adopt(input: PlanInput = plan()): Promise<void> {
    await registry.adopt(SERVICE, planToServiceDefinition(checked(input)));
    await registry.publish(SERVICE);
    await Promise.all(gateways.map((gateway) => gateway.waitForTraffic()));
  }

  try {
    await startAll();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    service: SERVICE,
    folder: work.path,
    env,
    temporal,
    controller,
    gateways,
    gateway: there(gateways[0], 'gateway'),
    workers,
    worker: there(workers[0], 'worker'),
    servers,
    packages,
    client: connected(),
    registry,
    server: (name) =>
      there(
        servers.find((one) => one.name === name),
        `server ${name}`,
      ),
    plan,
    adopt,
    start: (input = plan()) => startUpgrade(connected(), { data: input, plan: checked(input) }, { env }),
    get handle() {
      return connected().client.workflow.getHandle(workflowIdOf(SERVICE));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checked(input: PlanInput): Plan {
  const read = readPlan(input);
  if (read.ok) return read.plan;
  throw new ChangeoverError('InvalidPlan', formatPlanProblems(read.problems), {
    details: { problems: read.problems },
  });
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => (count === 1 ? name : `${name}-${index + 1}`));
}

function there<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ChangeoverError('Internal', `This fleet has no ${what}.`);
  return value;
}
