import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Agent, request } from 'undici';
import { createFleetProcess, type FleetProcess } from '../../demo/fleet/fleet-process.ts';
import { until } from '../../demo/fleet/until.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import type { GatewayAddress } from '../../src/protocol/controller.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';

/**
 * Guardrails end to end: a controller and gateways of both kinds, two embedded ones as processes and an HAProxy where there
 * is one, real servers, a hundred requests a second on the candidate, and neither a worker nor a Temporal anywhere.
 */
const SERVICE = 'shop';
const RATE_PER_SECOND = 100;
const WAIT = { timeoutMs: 60_000 };

const processes: FleetProcess[] = [];
const agent = new Agent();
const ends: string[] = [];
/** When each request reached the candidate, by the monotonic clock. */
let hits: number[] = [];
let failsAt: (n: number) => boolean = () => true;
const base = new UpstreamServer('base');
const candidate = new UpstreamServer('candidate', (_, response) => {
  hits.push(performance.now());
  answer(response, failsAt(hits.length) ? 500 : 200, 'candidate');
});
let folder = '';
let registry: ReturnType<typeof createFlowController>;
let gateways: readonly GatewayAddress[] = [];
let haproxy: HaproxyFixture | null = null;
let urls: readonly string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-guardrails-'));
  await Promise.all([base.listen(), candidate.listen()]);
  const [at = 0, ...free] = await freePorts(5);
  const url = `http://127.0.0.1:${at}`;
  await start('controller', ['--listen', `127.0.0.1:${at}`, '--state', join(folder, 'controller')], at);
  registry = createFlowController({ url });
  const addresses = [0, 1].map((n) => ({
    name: `embedded-${n}`,
    port: free[2 * n] ?? 0,
    admin: free[2 * n + 1] ?? 0,
  }));
  const servers = [base, candidate].map(({ name, url: origin }) => ({ name, url: origin }));
  if (HAPROXY !== null) {
    // Of its policy, the configuration holds the kind.
    const policy = { kind: 'hash', salt: 's', weights: { '2.0-a': 1, '2.0-b': 1 } } as const;
    const plan = planFor(servers, {
      traffic: { policy },
      measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slow: '1s' },
    });
    haproxy = await HaproxyFixture.start(plan, { controllerUrl: url });
  }
  gateways = [
    ...addresses.map(({ name, admin }): GatewayAddress => ({
      name,
      kind: 'embedded',
      admin: `http://127.0.0.1:${admin}`,
    })),
    ...(haproxy === null
      ? []
      : [{ name: 'gw-1', kind: 'haproxy' as const, admin: haproxy.companion.adminUrl ?? '' }]),
  ];
  urls = [
    ...addresses.map(({ port }) => `http://127.0.0.1:${port}`),
    ...(haproxy === null ? [] : [haproxy.url]),
  ];
  await registry.adopt(SERVICE, {
    release: '1.4',
    servers: servers.map((server) => ({ ...server, cluster: server.name })),
    gateways: [...gateways],
    measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slowMs: 1_000 },
    transactions: null,
  });
  await Promise.all(
    addresses.map(({ name, port, admin }) =>
      start(
        'gateway',
        [
          ...['--name', name, '--service', SERVICE, '--listen', `127.0.0.1:${port}`],
          ...['--admin', `127.0.0.1:${admin}`, '--controller', url, '--state', join(folder, name)],
        ],
        port,
        name,
      ),
    ),
  );
});

afterAll(async () => {
  await agent.close();
  await haproxy?.[Symbol.asyncDispose]();
  for (const one of processes.reverse()) await one.stop();
  await Promise.all([base.close(), candidate.close()]);
  await rm(folder, { recursive: true, force: true });
  expect(ends).toEqual([]);
});

async function start(command: string, args: readonly string[], port: number, name = command): Promise<void> {
  const one = createFleetProcess({
    ...{ name, args: [command, ...args], env: { PATH: process.env['PATH'] ?? '', LOG_LEVEL: 'warn' } },
    ...{ logFile: join(folder, `${name}.log`), graceMs: 5_000, isReady: () => answers(port) },
    onSpawn: async () => undefined,
    onUnexpectedEnd: (who, how) => ends.push(`${who}: ${how}`),
  });
  processes.push(one);
  await one.start();
}

/** One request after the other at the rate, on the gateways in turn, each with a key of its own; answers are not awaited. */
async function load(signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  const underWay = new Set<Promise<unknown>>();
  for (let n = 0; !signal.aborted; n++) {
    const one = request(`${urls[n % urls.length]}/`, {
      dispatcher: agent,
      headers: { 'x-account': `account-${n}` },
    }).then(({ body }) => body.dump());
    underWay.add(one);
    void one.finally(() => underWay.delete(one));
    await sleep(Math.max(0, startedMs + ((n + 1) * 1000) / RATE_PER_SECOND - performance.now()));
  }
  await Promise.all(underWay);
}

async function acknowledged(): Promise<boolean> {
  const { version, gateways: standing } = await registry.publish(SERVICE);
  return standing.every((one) => one.acknowledged >= version);
}

const split: TrafficSplit = {
  key: { from: 'header', name: 'x-account' },
  policy: { kind: 'hash', salt: 's', weights: { '2.0-a': 1 } },
  ...{ withoutKey: '1.4', baseline: '1.4', share: 1, salt: 'trial', pulled: [] },
};

test.each([
  ['all', () => true],
  ['half', (n: number) => n % 2 === 1],
] as const)(
  'a candidate of whose requests %s fail is pulled on all gateways, with no worker',
  async (what, fails) => {
    hits = [];
    failsAt = fails;
    const { fence } = await registry.acquire(SERVICE, { upgradeId: `fails-${what}`, gateways });
    await registry.armGuardrails(SERVICE, {
      ...{ fence, step: 1, releases: ['2.0-a'] },
      guardrails: { errorRate: { max: 0.05 }, alpha: 0.001 },
    });
    await registry.activate(SERVICE, {
      ...{ fence, step: 2 },
      transitions: [
        { kind: 'open', servers: ['candidate'], release: '2.0-a' },
        { kind: 'split', split: { ...split, salt: what } },
      ],
    });
    // Before, the candidate's server is one of the baseline's: its failures would be the environment's.
    await until('the trial is in effect', acknowledged, WAIT);
    const ended = new AbortController();
    const loading = load(ended.signal);
    try {
      // Asked of the controller's state: the gateways are read by nobody but its own loop.
      const isOut = async () => (await registry.status(SERVICE)).active.split?.pulled.length === 1;
      await until('it is pulled', isOut, WAIT);
      const { pulls } = await registry.traffic(SERVICE);
      expect(pulls).toMatchObject([{ release: '2.0-a', reason: expect.stringContaining('requests failed') }]);
      await until('all gateways have acknowledged', acknowledged, WAIT);
      const seen = base.requests.length;
      const got = hits.length;
      // What is sent from here on goes to the baseline, from all gateways.
      await until('the load goes on', () => base.requests.length >= seen + 50, WAIT);
      expect(hits.length - got).toBeLessThanOrEqual(RATE_PER_SECOND);
      const last = hits.length;
      await until('and on', () => base.requests.length >= seen + 100, WAIT);
      expect(hits).toHaveLength(last);
      const seconds = ((hits.at(-1) ?? 0) - (hits[0] ?? 0)) / 1000;
      process.stdout.write(
        `guardrail, ${what} of ${RATE_PER_SECOND} requests/s fail: the candidate got ${hits.length} requests, the last one ${seconds.toFixed(2)} s after the first (${pulls[0]?.reason})\n`,
      );
    } finally {
      ended.abort();
      await loading;
    }
    await registry.activate(SERVICE, { fence, step: 3, transitions: [{ kind: 'main', release: '1.4' }] });
    await registry.release(SERVICE, { fence, step: 4 });
  },
);
