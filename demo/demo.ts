import { setTimeout as delay } from 'node:timers/promises';
import { signal as sendSignal } from '../src/agent/os-process.ts';
import { createGatewayOverHttp } from '../src/adapters/gateway-over-http.ts';
import { reportQuery } from '../src/workflows/messages.ts';
import type { Display } from './display/display.ts';
import { createFleet, type Fleet } from './fleet/fleet.ts';
import type { FleetConfig } from './fleet/config.ts';
import { requireHaproxy } from './fleet/haproxy-gateway.ts';
import { spawnLoad, type LoadProcess } from './load/process.ts';
import type { LoadSummary } from './load/summary.ts';
import { createOperator } from './operator.ts';
import type { DemoOptions } from './options.ts';
import { judge, type DemoResult, type ServerResult, type TiersResult } from './result.ts';
import { watchUpgrade } from './snapshot.ts';

export interface DemoConfig {
  readonly options: DemoOptions;
  readonly baseline: NonNullable<FleetConfig['baseline']>;
  readonly candidates: NonNullable<FleetConfig['candidates']>;
  /** Where the worker writes the upgrade's report. */
  readonly reportDir: string;
}

/** A demo that has run; whatever it started goes on until `close`. */
export interface Demo extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly result: DemoResult;
  close(): Promise<void>;
}

/** The schedule is late by a tick now and then: so every second has the rate that was promised. */
const RATE_MARGIN = 1.03;
/** Without an operator an upgrade of seconds that takes this long has come to a stop. */
const LIMIT_MS = 180_000;
/** The fleet of the demo of tiers: small clusters, since there are two services. */
const TIERS = {
  tiers: true,
  clusters: { core: 2, blue: 2, green: 2 },
  gateways: 2,
} as const satisfies FleetConfig;
/** Of all kinds: the same account meets the same version, whichever it comes by. */
const MIXED = ['haproxy', 'haproxy', 'embedded'] as const;
/** A gateway counts an exchange once its last byte is out, a moment after the client has it. */
const COUNT_WAIT_MS = 2_000;

/**
 * Starts everything, upgrades under load, and judges what was seen.
 *
 * @throws the reason of `signal` where that ended it; everything is closed then
 */
export async function runDemo(
  config: DemoConfig,
  { display, signal }: { display: Display; signal: AbortSignal },
): Promise<Demo> {
  const beganAt = performance.now();
  const { tiers, haproxy } = config.options;
  // Before anything is started for it.
  if (haproxy) await requireHaproxy();
  display.say(startingText(config.options));
  const fleet = await createFleet({
    ...(tiers ? TIERS : {}),
    ...(haproxy ? { gateways: MIXED } : {}),
    baseline: config.baseline,
    candidates: config.candidates,
    reportDir: config.reportDir,
    onProgress: (sentence) => display.say(sentence),
    onUnexpectedEnd: (name, how) => display.say(`${name} ended unexpectedly: ${how}`),
    signal,
  });
  try {
    await fleet.adopt();
    const startUpMs = performance.now() - beganAt;
    const result = await upgradeUnderLoad(fleet, config, { display, signal, startUpMs });
    return { fleet, result, close: () => fleet.close(), [Symbol.asyncDispose]: () => fleet.close() };
  } catch (error) {
    await fleet.close();
    throw error;
  }
}

async function upgradeUnderLoad(
  fleet: Fleet,
  { options }: DemoConfig,
  around: { display: Display; signal: AbortSignal; startUpMs: number },
): Promise<DemoResult> {
  const { display, signal, startUpMs } = around;
  await using load = await startLoad(fleet, options.rate);
  // Nobody waits for its last answers then.
  signal.addEventListener('abort', () => sendSignal(load.pid, 'SIGKILL'), { once: true });
  const { link = fleet.temporal.uiUrl } = await fleet.start();
  sayLinks(fleet, link, display);
  const operator = createOperator(fleet, {
    interactive: options.interactive,
    say: (sentence) => display.say(sentence),
  });
  await watchUpgrade(fleet, () => load.latest(), {
    onLook: async (snapshot) => {
      display.show(snapshot);
      await operator.attend(snapshot);
    },
    signal: options.interactive ? signal : AbortSignal.any([signal, limit()]),
  });
  display.say('The upgrade is over; the last requests are awaited');
  const stoppedAtMs = Date.now();
  const summary = await load.stop();
  signal.throwIfAborted();
  const [report, traffic, servers] = await Promise.all([
    fleet.handle.query(reportQuery),
    settledTraffic(fleet, summary),
    resultsOf(fleet.servers),
  ]);
  const tiers = await tiersOf(fleet, summary);
  return judge({ options, report, summary, traffic, servers, tiers, startUpMs, stoppedAtMs });
}

export function startLoad(fleet: Fleet, rate: number): Promise<LoadProcess> {
  return spawnLoad({ url: fleet.entrances.map(({ url }) => url), ratePerSecond: rate * RATE_MARGIN });
}

function startingText({ tiers, haproxy }: DemoOptions): string {
  if (tiers) {
    return 'Starting Temporal, controller, worker, an edge, two web servers with a sidecar each, and six servers of the pricing service, each with an agent';
  }
  const gateways = haproxy ? 'two HAProxies with a companion each, an embedded gateway' : 'gateway';
  return `Starting Temporal, controller, ${gateways}, worker, and nine servers with an agent each`;
}

function limit(): AbortSignal {
  const seconds = LIMIT_MS / 1000;
  const controller = new AbortController();
  setTimeout(() => {
    controller.abort(new Error(`The upgrade is not over after ${seconds} s; see its problems above.`));
  }, LIMIT_MS).unref();
  return controller.signal;
}

function sayLinks(fleet: Fleet, upgrade: string, display: Display): void {
  display.say(`Temporal UI, this upgrade  ${upgrade}`);
  display.say(`Flow controller, metrics   ${fleet.controller.url}/metrics`);
  for (const { kind, url } of fleet.entrances) {
    display.say(`${kind === 'haproxy' ? 'HAProxy' : 'Gateway'}, the service       ${url}/`);
  }
}

/** The gateways' counts once they contain everything that clients know of. */
async function settledTraffic(fleet: Fleet, { answered, lost }: LoadSummary) {
  const deadline = performance.now() + COUNT_WAIT_MS;
  // Calls of an inner service are more than the requests that clients know of: all are in soon after the last answer.
  if (fleet.web !== null) await delay(COUNT_WAIT_MS);
  for (;;) {
    const traffic = await fleet.registry.traffic(fleet.service);
    const ended = traffic.counts.reduce(
      (sum, row) => sum + row.succeeded + row.clientErrors + row.serverErrors + row.failed + row.aborted,
      0,
    );
    if (ended >= answered + lost || performance.now() > deadline) return traffic;
    await delay(100);
  }
}

function resultsOf(servers: Fleet['servers']): Promise<ServerResult[]> {
  return Promise.all(
    servers.map(async (server) => {
      const { name, cluster } = server;
      const { runningVersion: version, healthy } = await server.status();
      return { name, cluster, version, healthy };
    }),
  );
}

/** What only a demo of tiers has: whether business met one version behind the web layer. */
async function tiersOf(fleet: Fleet, { mixed, mixes }: LoadSummary): Promise<TiersResult | null> {
  if (fleet.web === null) return null;
  const stats = await Promise.all(
    fleet.gateways.map(({ name, adminUrl }) => createGatewayOverHttp({ name, admin: adminUrl }).stats({})),
  );
  const sum = (what: 'missing' | 'outdated'): number =>
    stats.reduce((total, { context }) => total + (context?.[what] ?? 0), 0);
  const web = await resultsOf(fleet.web.servers);
  return { mixed, mixes, contextMissing: sum('missing'), contextOutdated: sum('outdated'), web };
}
