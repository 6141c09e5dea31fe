import type { WorkflowHandle } from '@temporalio/client';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { planToServiceDefinition } from '../../src/domain/plan/service-definition.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import { startUpgrade, type StartedUpgrade } from '../../src/starter.ts';
import type { TemporalClient } from '../../src/temporal.ts';
import { workflowIdOf } from '../../src/workflows/messages.ts';
import { assemble, closeAll, startAll, there, type FleetAssembly } from './assembly.ts';
import { FLEET_DEFAULTS, serviceOf, type FleetConfig, type FleetSettings } from './config.ts';
import type { ControllerProcess, GatewayProcess } from './fleet-parts.ts';
import { checkedPlan, fleetPlan } from './fleet-plan.ts';
import type { FleetProcess } from './fleet-process.ts';
import type { FleetServer } from './fleet-server.ts';
import type { TemporalProcess } from './temporal-process.ts';
import type { WebTier } from './web-tier.ts';
import { sweepLeftovers } from './work-folder.ts';

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
  /** In front of an inner service; null where the service itself is what clients see. */
  readonly web: WebTier | null;
  /** Where clients send their business. */
  readonly entrances: readonly GatewayProcess[];
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

/**
 * Starts everything, with the baseline installed on every server by its agent. What an earlier fleet left behind, whose
 * owner was killed, is ended first. Whoever asks something of `client` has to be done with it before the fleet is closed.
 */
export async function createFleet(config: FleetConfig = {}): Promise<Fleet> {
  const settings = { ...FLEET_DEFAULTS, ...config };
  const swept = await sweepLeftovers();
  if (swept > 0) config.onProgress?.(`Ended what ${swept} earlier run${swept === 1 ? '' : 's'} left behind`);
  const parts = await assemble(settings);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeAll(parts, settings));
  try {
    await startAll(parts, settings);
  } catch (error) {
    await close();
    throw error;
  }
  return fleetOf(parts, settings, close);
}

function fleetOf(parts: FleetAssembly, settings: FleetSettings, close: () => Promise<void>): Fleet {
  const { work, env, gateways, workers, servers, web, packages, connected } = parts;
  const registry = createFlowController({ url: parts.controller.url });
  const service = serviceOf(settings);

  const plan = (change: Partial<PlanInput> = {}): PlanInput => ({
    ...fleetPlan({ settings, packages, servers, gateways }),
    ...change,
  });

  async function adopt(input: PlanInput = plan()): Promise<void> {
    const checked = checkedPlan(input);
    await Promise.all(gateways.map(async (gateway) => gateway.configureFor?.(checked)));
    await registry.adopt(service, planToServiceDefinition(checked));
    await registry.publish(service);
    await Promise.all(gateways.map((gateway) => gateway.waitForTraffic()));
    await web?.adopt(registry);
  }

  function server(name: string): FleetServer {
    const found = servers.find((one) => one.name === name);
    return there(found, `server ${name}`);
  }

  return {
    service,
    folder: work.path,
    env,
    temporal: parts.temporal,
    controller: parts.controller,
    gateways,
    gateway: there(gateways[0], 'gateway'),
    web,
    entrances: web === null ? gateways : [web.edge],
    workers,
    worker: there(workers[0], 'worker'),
    servers,
    packages,
    client: connected(),
    registry,
    server,
    plan,
    adopt,
    start: (input = plan()) => startUpgrade(connected(), { data: input, plan: checkedPlan(input) }, { env }),
    get handle() {
      return connected().client.workflow.getHandle(workflowIdOf(service));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
