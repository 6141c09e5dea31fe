import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import { noteExecuted, reportProblem } from './acknowledgements.ts';
import { createDeadlines } from './deadlines.ts';
import { every } from './every.ts';
import { tableFor } from './gateway-exclusion.ts';
import type { ServiceStore } from './service-store.ts';

/** For one push to one gateway, in milliseconds. */
const PUSH_TIMEOUT_MS = 2_000;
/** So long whoever asks for routes is left to a push of them that is under way, in milliseconds: it may hang. */
const PUSH_PATIENCE_MS = 500;
/** Longest wait between two tries of the background loop with a gateway that does not take its table. */
const MAX_BACKOFF_MS = 10_000;

export interface Publisher {
  /**
   * Pushes the active table to every gateway that has not acknowledged it, and waits for all answers but those of gateways
   * that were declared gone.
   */
  publish(service: string): Promise<void>;
  /**
   * Waits for a push of the active table that is under way to a gateway which took its last one by push. True if it took
   * this one: what it asks for by itself, it has.
   */
  takenByPush(service: string, gateway: string): Promise<boolean>;
  /** Starts the loop that keeps pushing to those who lag behind. */
  start(): void;
  close(): Promise<void>;
}

interface Push {
  readonly version: number;
  readonly done: Promise<void>;
}

export function createPublisher(deps: {
  store: ServiceStore;
  gatewayFor: (address: GatewayAddress) => TrafficGateway;
  logger: Logger;
  intervalMs: number;
}): Publisher {
  const { store, logger } = deps;
  const closing = new AbortController();
  const deadlines = createDeadlines();
  const pushes = new Map<string, Push>();
  const backoffs = new Map<string, { waitMs: number; until: number }>();
  let loop: Promise<void> = Promise.resolve();

  /** Those who lag behind; one that was declared gone does until it counts again. */
  function laggards(service: string, which: 'counted' | 'all'): readonly GatewayAddress[] {
    const { active, gateways } = store.get(service);
    return gateways
      .filter(({ state }) => state.acknowledged < active.version || state.excluded !== undefined)
      .filter(({ state }) => which === 'all' || state.excluded === undefined)
      .map(({ address }) => address);
  }

  async function publish(service: string): Promise<void> {
    await Promise.all(laggards(service, 'counted').map((address) => push(service, address)));
  }

  async function takenByPush(service: string, gateway: string): Promise<boolean> {
    const stateOf = () => store.get(service).gateways.find(({ address }) => address.name === gateway)?.state;
    const running = pushes.get(`${service}/${gateway}`);
    // Who pulled its last table may be out of reach: it need not wait until that is known once more.
    if (running === undefined || stateOf()?.acknowledgedBy !== 'push') return false;
    await Promise.race([
      running.done.catch(() => undefined),
      delay(PUSH_PATIENCE_MS, undefined, { ref: false }),
    ]);
    return (stateOf()?.acknowledged ?? 0) >= store.get(service).active.version;
  }

  /** One push at a time of one version to one gateway; whoever asks meanwhile waits for the same. */
  function push(service: string, address: GatewayAddress): Promise<void> {
    const key = `${service}/${address.name}`;
    const { version } = store.get(service).active;
    const running = pushes.get(key);
    if (running?.version === version) return running.done;
    const done = pushNow(service, address).finally(() => {
      if (pushes.get(key)?.done === done) pushes.delete(key);
    });
    pushes.set(key, { version, done });
    return done;
  }

  async function pushNow(service: string, address: GatewayAddress): Promise<void> {
    const gateway = address.name;
    const table = tableFor(store.get(service), gateway);
    const asOf = new Date().toISOString();
    try {
      const { version } = await deadlines.run(PUSH_TIMEOUT_MS, (signal) =>
        deps.gatewayFor(address).publish(table, { signal }),
      );
      const problem =
        version < table.version ? `it was given routes ${table.version} and executes ${version}` : undefined;
      const at = new Date().toISOString();
      await noteExecuted(deps, service, {
        ...{ gateway, version, asOf, at, by: 'push' },
        ...(problem === undefined ? {} : { problem }),
      });
      noteBackoff(`${service}/${gateway}`, problem === undefined);
    } catch (error) {
      if (deadlines.closed) return;
      const problem = messageOf(error);
      logger.warn({ service, gateway, version: table.version, problem }, 'routes could not be published');
      noteBackoff(`${service}/${gateway}`, false);
      const at = new Date().toISOString();
      await store.update(service, (state) => reportProblem(state, { gateway, problem, at }));
    }
  }

  function noteBackoff(key: string, succeeded: boolean): void {
    if (succeeded) {
      backoffs.delete(key);
      return;
    }
    const waitMs = Math.min(MAX_BACKOFF_MS, (backoffs.get(key)?.waitMs ?? deps.intervalMs / 2) * 2);
    backoffs.set(key, { waitMs, until: Date.now() + waitMs });
  }

  async function catchUp(): Promise<void> {
    const now = Date.now();
    for (const service of store.names()) {
      const due = laggards(service, 'all').filter(
        ({ name }) => (backoffs.get(`${service}/${name}`)?.until ?? 0) <= now,
      );
      // Not awaited: one gateway that hangs must not keep the others waiting.
      for (const address of due) inBackground(push(service, address));
    }
  }

  function inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => logger.error({ err: error }, 'publishing failed'));
  }

  return {
    publish,
    takenByPush,
    start() {
      store.onActivated((service) => {
        if (!deadlines.closed) inBackground(publish(service));
      });
      loop = every(deps.intervalMs, catchUp, { signal: closing.signal, logger });
    },
    async close() {
      closing.abort();
      await deadlines.abortAll();
      await loop;
      await Promise.allSettled([...pushes.values()].map(({ done }) => done));
    },
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
