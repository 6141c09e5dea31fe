import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import { createControlApp, listen } from '../protocol/control-server.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import { openBlockLog, type BlockLog } from './block-log.ts';
import type { ControllerConfig } from './config.ts';
import { every } from './every.ts';
import { createGatewayExclusions } from './gateway-exclusion.ts';
import { createGatewayPresence } from './gateway-presence.ts';
import { openGuardrailWatch, type GuardrailWatch } from './guardrail-watch.ts';
import { addControllerApi } from './http-api.ts';
import { openObservatory, type Observatory } from './observatory.ts';
import { createPrometheus } from './prometheus.ts';
import { createPublisher } from './publisher.ts';
import { createRoutePoll } from './route-poll.ts';
import { openServiceStore, type ServiceStore } from './service-store.ts';
import { lockStateDir } from './state-dir-lock.ts';

/** Totals are written at most this often: a crash loses none of them, only what a gateway that restarts just then had. */
const PERSIST_INTERVAL_MS = 2_000;

/** Gateways are read with this pause at most while a candidate is guarded: it is out a moment after its evidence is in. */
const GUARDED_INTERVAL_MS = 750;
/** A gateway that hangs is waited for no longer before the others are judged, and read again. */
const PATIENCE_MS = 250;

export interface ControllerDeps {
  readonly logger: Logger;
  readonly gatewayFor: (address: GatewayAddress) => TrafficGateway;
}

export interface Controller extends AsyncDisposable {
  /** Takes the state folder and the port; resolves once it answers. */
  start(): Promise<{ url: string }>;
  /** Ends long polls (304) and loops, writes what is not yet on disk, gives the folder back. Safe to repeat. */
  close(): Promise<void>;
}

/**
 * The flow controller: route tables, their publication, the lock of an upgrade, and the traffic observatory. All that
 * it must not forget is on disk before it is answered, so that it can be killed at any moment.
 */
export function createController(config: ControllerConfig, deps: ControllerDeps): Controller {
  /** What to do on close, the last first. */
  const closers: (() => Promise<void>)[] = [];

  const controller: Controller = {
    async start() {
      try {
        return { url: await startParts(config, deps, closers) };
      } catch (error) {
        await controller.close();
        throw error;
      }
    },
    async close() {
      for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
    },
    [Symbol.asyncDispose]: () => controller.close(),
  };
  return controller;
}

async function startParts(
  config: ControllerConfig,
  { logger, gatewayFor }: ControllerDeps,
  closers: (() => Promise<void>)[],
): Promise<string> {
  const { stateDir, readIntervalMs } = config;
  const lock = await lockStateDir(stateDir);
  closers.push(async () => lock[Symbol.asyncDispose]());

  const store = await openServiceStore(stateDir);
  closers.push(() => store.settled());
  const observatory = await openObservatory({ store, stateDir, gatewayFor, logger });
  closers.push(() => observatory.close());
  const blockLog = await openBlockLog({ store, observatory, stateDir, logger });
  closers.push(() => blockLog.settled());
  const publisher = createPublisher({ store, gatewayFor, logger, intervalMs: readIntervalMs });
  closers.push(() => publisher.close());
  const guardrails = await openGuardrailWatch({ store, observatory, stateDir, logger });
  closers.push(() => guardrails.persist());
  const poll = createRoutePoll(store);
  const presence = createGatewayPresence();
  const exclusions = createGatewayExclusions({ store, gatewayFor, presence, logger });
  const prometheus = createPrometheus(store, observatory);

  const app = createControlApp({ logger, ...tokenOf(config) });
  const parts = {
    store,
    publisher,
    observatory,
    blockLog,
    guardrails,
    poll,
    presence,
    exclusions,
    prometheus,
  };
  addControllerApi(app, { ...parts, gatewayFor, logger });
  const listening = await listen(app, { ...config.listen, ...tokenOf(config) });
  closers.push(() => listening.close());
  closers.push(async () => poll.close());

  const dueServices = createDueServices({ store, guardrails, readIntervalMs });
  const observe = (services: readonly string[]) =>
    observeAll(services, { observatory, blockLog, guardrails });
  const closing = new AbortController();
  const periodic = { signal: closing.signal, logger };
  const loops = [
    every(PERSIST_INTERVAL_MS, () => guardrails.persist(), periodic),
    every(Math.min(readIntervalMs, GUARDED_INTERVAL_MS), () => observe(dueServices()), periodic),
  ];
  closers.push(async () => {
    closing.abort();
    await observatory.stopReading();
    await Promise.all(loops);
  });
  publisher.start();
  return listening.url;
}

/** Which services are to be read now: a guarded one at every look, others at their interval. */
function createDueServices(parts: {
  store: ServiceStore;
  guardrails: GuardrailWatch;
  readIntervalMs: number;
}): () => readonly string[] {
  const dueAtMs = new Map<string, number>();
  return () => {
    const nowMs = performance.now();
    const due = parts.store
      .names()
      .filter((service) => parts.guardrails.isArmed(service) || nowMs >= (dueAtMs.get(service) ?? 0));
    for (const service of due) dueAtMs.set(service, nowMs + parts.readIntervalMs);
    return due;
  };
}

/** Services side by side: a gateway that hangs must not keep the guardrails of another service from pulling. */
async function observeAll(
  services: readonly string[],
  {
    observatory,
    blockLog,
    guardrails,
  }: { observatory: Observatory; blockLog: BlockLog; guardrails: GuardrailWatch },
): Promise<void> {
  await Promise.all(
    services.map(async (service) => {
      await Promise.race([observatory.read(service), sleep(PATIENCE_MS, undefined, { ref: false })]);
      await guardrails.judge(service);
      await blockLog.keepUp(service);
    }),
  );
}

function tokenOf({ token }: ControllerConfig): { token?: string } {
  return token === undefined ? {} : { token };
}
