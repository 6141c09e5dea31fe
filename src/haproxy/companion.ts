import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createAdminApi } from '../gateway/admin-api.ts';
import { RouteKeeper } from '../gateway/route-keeper.ts';
import { RoutePuller } from '../gateway/route-puller.ts';
import { RouteStore } from '../gateway/route-store.ts';
import { listen, type Listening } from '../protocol/control-server.ts';
import { type CompanionConfigInput, companionConfigSchema } from './companion-config.ts';
import { CountLedger } from './count-ledger.ts';
import { HaproxyPlane } from './haproxy-plane.ts';
import { companionMetrics } from './companion-metrics.ts';
import { parseSocketAddress } from './runtime-api.ts';
import { TrafficReader } from './traffic-reader.ts';

/** How long a start waits for the controller before the stored routes have to do, in milliseconds. */
const FIRST_PULL_MS = 3_000;
/** So often HAProxy is looked after where nobody asks, in milliseconds: a new process has its routes by then. */
const LOOK_EVERY_MS = 500;
/** A look at thousands of servers takes HAProxy's own time: so many times longer it is left alone afterwards. */
const PAUSES_PER_LOOK = 3;

/** The process beside an HAProxy that makes it a gateway: it takes route tables, and tells what HAProxy counts. */
export interface Companion extends AsyncDisposable {
  start(): Promise<void>;
  close(): Promise<void>;
  readonly adminUrl: string | null;
}

/** @throws ZodError, ChangeoverError `InvalidRequest` if the configuration is wrong. */
export function createCompanion(input: CompanionConfigInput, deps: { logger: Logger }): Companion {
  const config = companionConfigSchema.parse(input);
  const logger = deps.logger.child({ gateway: config.name, service: config.service });
  const plane = new HaproxyPlane({
    service: config.service,
    address: parseSocketAddress(config.socket),
    filesDir: config.filesDir,
    lookupDir: config.lookupDir,
    logger,
  });
  const ledger = new CountLedger(config.stateDir);
  const reader = new TrafficReader({ gateway: config.name, service: config.service, plane, ledger, logger });
  plane.onReplaced = (old) => reader.keep(old);
  const keeper = new RouteKeeper({
    service: config.service,
    store: new RouteStore(config.stateDir),
    plane,
    pulls: config.controllerUrl !== undefined,
    logger,
  });
  const puller =
    config.controllerUrl === undefined
      ? null
      : new RoutePuller({
          controllerUrl: config.controllerUrl,
          service: config.service,
          gateway: config.name,
          token: config.controllerToken,
          keeper,
          logger,
        });
  const stopping = new AbortController();
  let healthy = false;
  let reading: ReturnType<TrafficReader['stats']> | null = null;
  let upcoming: ReturnType<TrafficReader['stats']> | null = null;
  let looking: Promise<void> = Promise.resolve();
  let admin: Listening | null = null;

  const read = (): ReturnType<TrafficReader['stats']> => {
    const now = reader.stats().finally(() => (reading = null));
    reading = now;
    return now;
  };
  /**
   * Readings do not overlap, and each is what HAProxy said after it was asked for: who comes during one gets the next,
   * and whoever comes until that begins shares it.
   */
  const stats = (): ReturnType<TrafficReader['stats']> => {
    if (reading === null && upcoming === null) return read();
    upcoming ??= (reading ?? Promise.resolve())
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        upcoming = null;
        return read();
      });
    return upcoming;
  };
  // What failed so far belongs to the release that had the slot so far.
  plane.beforeChange = () => (plane.table === null ? Promise.resolve() : stats().then(() => undefined));
  const app = createAdminApi({
    gateway: config.name,
    token: config.adminToken,
    plane,
    keeper,
    stats,
    metrics: async () => companionMetrics(await stats()),
    onStatsRead: () => {},
    ready: () => healthy && keeper.version > 0 && keeper.heldBy === null,
    logger,
  });

  const lookAfter = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const fromMs = performance.now();
      try {
        await stats();
        if (!healthy) logger.info('HAProxy answers');
        healthy = true;
      } catch (error) {
        if (healthy) logger.warn({ err: error }, 'HAProxy does not do as it should; trying on');
        healthy = false;
      }
      const pauseMs = Math.max(LOOK_EVERY_MS, PAUSES_PER_LOOK * (performance.now() - fromMs));
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };

  const close = async (): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    await looking;
    await puller?.close();
    await admin?.close();
    admin = null;
    await upcoming?.catch(() => undefined);
    await reading?.catch(() => undefined);
    reader.close();
    keeper.close();
    logger.info('companion stopped');
  };

  return {
    async start() {
      await ledger.load();
      await keeper.restore();
      admin = await listen(app, {
        ...config.admin,
        ...(config.adminToken === undefined ? {} : { token: config.adminToken }),
      });
      await puller?.pullOnce(FIRST_PULL_MS);
      looking = lookAfter();
      puller?.start();
      logger.info({ admin: admin.url, socket: config.socket }, 'companion of HAProxy started');
    },
    close,
    [Symbol.asyncDispose]: close,
    get adminUrl() {
      return admin?.url ?? null;
    },
  };
}
