import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { AccountRegister } from '../gateway/account-register.ts';
import { AccountStore } from '../gateway/account-store.ts';
import { ControlSide } from '../gateway/control-side.ts';
import { AccountLedger } from './account-ledger.ts';
import { AccountReader } from './account-reader.ts';
import { type CompanionConfigInput, companionConfigSchema } from './companion-config.ts';
import { CountLedger } from './count-ledger.ts';
import { HaproxyPlane } from './haproxy-plane.ts';
import { type InnerMap, innerMaps } from './inner-map.ts';
import { filesIn } from './layout.ts';
import { companionMetrics } from './companion-metrics.ts';
import { parseSocketAddress } from './runtime-api.ts';
import { TrafficReader } from './traffic-reader.ts';

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
export function createCompanion(
  input: CompanionConfigInput,
  deps: {
    logger: Logger;
    /** Wall clock by which windows of accounts are over, in milliseconds; HAProxy's by default. */
    now?: () => number;
  },
): Companion {
  const config = companionConfigSchema.parse(input);
  const logger = deps.logger.child({ gateway: config.name, service: config.service });
  const plane = new HaproxyPlane({
    service: config.service,
    address: parseSocketAddress(config.socket),
    filesDir: config.filesDir,
    lookupDir: config.lookupDir,
    logger,
  });
  const { service, stateDir, maxAccounts, accountPart } = config;
  const store = new AccountStore({ service, stateDir, max: maxAccounts, logger });
  const register = new AccountRegister({ max: maxAccounts, journal: store });
  const ledger = new CountLedger(
    stateDir,
    new AccountLedger({ register, part: accountPart, gateway: config.name }),
  );
  const reader = new TrafficReader({
    gateway: config.name,
    service,
    plane,
    ledger,
    accounts: new AccountReader({ ledger: ledger.accounts, store, now: deps.now ?? Date.now }),
    routesFile: filesIn(config.filesDir).routes,
    logger,
  });
  plane.onReplaced = (old) => reader.keep(old);
  const control = new ControlSide({ config, plane, logger });
  const { keeper } = control;
  const inner = innerMaps(config, logger);
  const stopping = new AbortController();
  let healthy = false;
  let reading: ReturnType<TrafficReader['stats']> | null = null;
  let upcoming: ReturnType<TrafficReader['stats']> | null = null;
  let looking: Promise<void> = Promise.resolve();

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

  const lookAfter = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const fromMs = performance.now();
      try {
        await stats();
        await lookAfterInner(inner, plane);
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
    await control.stopPulling();
    for (const map of inner) await map.stop();
    await control.closeAdmin();
    await upcoming?.catch(() => undefined);
    await reading?.catch(() => undefined);
    reader.close();
    await store.close();
    keeper.close();
    logger.info('companion stopped');
  };

  return {
    async start() {
      await ledger.load();
      const accounts = await store.load();
      if (accounts !== null) register.restore(accounts);
      await control.open({
        stats,
        metrics: async () => companionMetrics(await stats()),
        onStatsRead: () => {},
        ready: () => healthy && keeper.version > 0 && keeper.heldBy === null,
      });
      await control.pullOnce();
      for (const map of inner) await map.start();
      looking = lookAfter();
      control.keepPulling();
      logger.info({ admin: control.adminUrl, socket: config.socket }, 'companion of HAProxy started');
    },
    close,
    [Symbol.asyncDispose]: close,
    get adminUrl() {
      return control.adminUrl;
    },
  };
}

async function lookAfterInner(inner: readonly InnerMap[], plane: HaproxyPlane): Promise<void> {
  if (inner.length === 0) return;
  await plane.reading(async ({ connection }) => {
    for (const map of inner) await map.lookAfter(connection);
  });
}
