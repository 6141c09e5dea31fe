import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { AccountRegister } from './account-register.ts';
import { AccountStore } from './account-store.ts';
import { ControlSide, FIRST_PULL_MS } from './control-side.ts';
import { type GatewayConfig, type GatewayConfigInput, gatewayConfigSchema } from './config.ts';
import { EdgeContext } from './edge-context.ts';
import { EmbeddedPlane } from './embedded-plane.ts';
import { Fleet } from './fleet.ts';
import { renderMetrics } from './gateway-metrics.ts';
import { gatewayStats } from './gateway-stats.ts';
import { InnerRoutes } from './inner-routes.ts';
import { PlainContext, type RoutingContext } from './routing-context.ts';
import { SidecarContext } from './sidecar-context.ts';
import { StatsReporter } from './stats-reporter.ts';
import { TrafficDirector } from './traffic-director.ts';
import { TrafficLedger } from './traffic-ledger.ts';
import { TrafficServer } from './traffic-server.ts';
import { TransactionBook } from './transaction-book.ts';
import { TransactionStore } from './transaction-store.ts';
import { UnitLedger } from './unit-ledger.ts';

/** So often a traffic port that is taken is tried again, in milliseconds. */
const OPEN_RETRY_MS = 500;

/** A running gateway. */
export interface Gateway extends AsyncDisposable {
  /**
   * Opens the admin API, gets the latest routes and then opens the traffic port; without any routes to be had, the
   * traffic port opens as soon as there are some.
   */
  start(): Promise<void>;
  /** Finishes what is in flight, answering on the admin API until the end. Safe to call twice. */
  close(): Promise<void>;
  /** Base URL of the traffic port, or null while it is not open. */
  readonly trafficUrl: string | null;
  /** Base URL of the admin API, or null while it is not open. */
  readonly adminUrl: string | null;
}

/** @throws ZodError if the configuration is wrong. */
export function createGateway(
  input: GatewayConfigInput,
  deps: {
    logger: Logger;
    /** Clock by which units of a trial are counted: never goes back, in milliseconds. */
    now?: () => number;
  },
): Gateway {
  const config = gatewayConfigSchema.parse(input);
  const logger = deps.logger.child({ gateway: config.name, service: config.service });
  const epoch = randomUUID();
  const inner = innerRoutes(config, logger);
  const { service, stateDir, maxAccounts } = config;
  const accounts = new AccountStore({ service, stateDir, max: maxAccounts, logger });
  const register = new AccountRegister({ max: maxAccounts, journal: accounts });
  const director = new TrafficDirector({
    fleet: new Fleet({ timeouts: config.timeouts, logger }),
    ledger: new TrafficLedger(),
    transactions: new TransactionBook(config.maxTransactions, logger),
    context: contextOf(config, inner),
    units: new UnitLedger({
      register,
      gateway: config.name,
      part: config.accountPart,
      logger,
      ...(deps.now === undefined ? {} : { now: deps.now }),
    }),
    logger,
  });
  const transactions = new TransactionStore({
    service: config.service,
    stateDir: config.stateDir,
    max: config.maxTransactions,
    book: director.transactions,
    logger,
  });
  const plane = new EmbeddedPlane({ director, lookupDir: config.lookupDir, logger });
  const control = new ControlSide({ config, plane, logger });
  const { keeper } = control;
  const traffic = new TrafficServer(config, director);
  const stats = () => gatewayStats(config, director, epoch);
  const reporter =
    config.controllerUrl === undefined
      ? null
      : new StatsReporter({
          controllerUrl: config.controllerUrl,
          service: config.service,
          gateway: config.name,
          token: config.controllerToken,
          stats,
          logger,
        });
  const reads = new EventEmitter();
  let opening: Promise<void> | null = null;
  let closing: Promise<void> | null = null;

  const openTraffic = async (): Promise<void> => {
    if (keeper.version === 0 || keeper.heldBy !== null || traffic.stopping) return;
    opening ??= traffic.listen();
    try {
      await opening;
    } catch (error) {
      opening = null;
      throw error;
    }
  };

  /** Routes are there: whoever holds the port at the moment does not keep the gateway shut for good. */
  const openTrafficSoon = (): void => {
    openTraffic().catch((error: unknown) => {
      logger.error({ err: error }, 'the traffic port cannot be opened; trying again');
      setTimeout(openTrafficSoon, OPEN_RETRY_MS).unref();
    });
  };

  const start = async (): Promise<void> => {
    // Before anybody can push routes or ask what is open.
    director.remember(await transactions.load());
    transactions.start();
    const known = await accounts.load();
    if (known !== null) register.restore(known);
    accounts.start();
    await control.open({
      stats,
      metrics: () => renderMetrics(stats(), director),
      onStatsRead: () => {
        reporter?.wasRead();
        reads.emit('read');
      },
      ready: () => traffic.address !== null && !traffic.stopping,
    });
    const preparing = Promise.all(inner.map((routes) => routes.update(FIRST_PULL_MS)));
    const latest = await control.pullOnce();
    await preparing;
    if (keeper.heldBy !== null) {
      logger.warn(
        { version: keeper.version, upgrade: keeper.heldBy },
        'the stored routes are of an upgrade that was under way; the traffic port stays shut until the controller gives or confirms the current ones',
      );
    } else if (!latest && keeper.version > 0) {
      logger.warn(
        { version: keeper.version },
        'serving by the stored routes; nobody said whether they are the latest',
      );
    }
    if (keeper.version === 0) logger.warn('no routes yet; the traffic port stays shut until there are some');
    keeper.onAdopted = openTrafficSoon;
    await openTraffic();
    control.keepPulling();
    reporter?.start();
    for (const routes of inner) routes.start();
    logger.info({ traffic: urlOf(traffic.address), admin: control.adminUrl }, 'gateway started');
  };

  /** What the controller did not read by then, nobody will. */
  const lastRead = async (): Promise<void> => {
    if (control.adminUrl === null || config.controllerUrl === undefined) return;
    if (director.ledger.counts().length === 0) return;
    const signal = AbortSignal.timeout(config.lastReadMs);
    await once(reads, 'read', { signal }).catch(() => logger.warn('nobody read the final counters'));
  };

  const shutDown = async (): Promise<void> => {
    const cut = await traffic.close();
    if (cut > 0) logger.error({ cut }, 'the grace is over; requests under way were cut');
    director.units.end();
    await accounts.close();
    await Promise.all([transactions.close(), lastRead()]);
    await reporter?.close();
    await control.stopPulling();
    await Promise.all(inner.map((routes) => routes.stop()));
    await director.fleet.destroy();
    director.transactions.clear();
    keeper.close();
    await control.closeAdmin();
    logger.info('gateway stopped');
  };

  const close = (): Promise<void> => (closing ??= shutDown());

  return {
    start,
    close,
    [Symbol.asyncDispose]: close,
    get trafficUrl() {
      return urlOf(traffic.address);
    },
    get adminUrl() {
      return control.adminUrl;
    },
  };
}

/** Only an edge that knows its inner services writes context: to others its baggage is no business of theirs. */
function contextOf(config: GatewayConfig, inner: readonly InnerRoutes[]): RoutingContext {
  const { role, service, contextKey } = config;
  if (role === 'sidecar') return new SidecarContext(service);
  return inner.length === 0 ? new PlainContext() : new EdgeContext({ service, key: contextKey, inner });
}

function innerRoutes(config: GatewayConfig, logger: Logger): InnerRoutes[] {
  const { controllerUrl, controllerToken: token, stateDir, lookupDir } = config;
  if (controllerUrl === undefined) return [];
  return config.contextFor.map(
    (service) => new InnerRoutes({ service, controllerUrl, token, stateDir, lookupDir, logger }),
  );
}

function urlOf(address: AddressInfo | null): string | null {
  if (address === null) return null;
  const anyAddress = address.address === '0.0.0.0' || address.address === '::';
  const host = anyAddress
    ? '127.0.0.1'
    : address.address.includes(':')
      ? `[${address.address}]`
      : address.address;
  return `http://${host}:${address.port}`;
}
