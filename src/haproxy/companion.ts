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
  let looking: Promise<void> = Promise.resolve();
  let admin: Listening | null = null;

  /** Readings do not overlap: each is what HAProxy said after it was asked for. */
  const stats = (): ReturnType<TrafficReader['stats']> => {
    const next = (reading ?? Promise.resolve())
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => reader.stats());
    reading = next;
    return next;
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
      try {
        await stats();
        if (!healthy) logger.info('HAProxy answers');
        healthy = true;
      } catch (error) {
        if (healthy) logger.warn({ err: error }, 'HAProxy does not do as it should; trying on');
        healthy = false;
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };

  const close = async (): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    await looking;
    await puller?.close();
    await admin?.close();
    admin = null;
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
