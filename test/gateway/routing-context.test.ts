import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { RouteTable, TrafficSplit } from '../../src/domain/routes/table.ts';
import { memberValue } from '../../src/gateway/baggage.ts';
import type { ContextCounts } from '../../src/protocol/gateway.ts';
import { makeStateDir, startController, type ControllerOptions } from '../controller/running-controller.ts';
import { GatewayFixture, serverOf, SERVICE, tableOf, until } from './support/gateway-fixture.ts';
import { RawConnection } from './support/raw-connection.ts';
import { UpstreamServer } from './support/upstream-server.ts';

const byTail: TrafficSplit = {
  key: { from: 'header', name: 'x-account' },
  policy: {
    kind: 'tail',
    rules: [
      { tail: 'odd', to: '2.0-a' },
      { tail: 'even', to: '2.0-b' },
    ],
  },
  withoutKey: '1.0',
  baseline: '1.0',
  share: 1,
  salt: 's',
  pulled: [],
};
const fromBaggage = {
  id: { from: 'baggage', name: 'changeover.transaction' },
  idleMs: 60_000,
} as const;

async function ask(
  fixture: GatewayFixture,
  headers: Record<string, string | string[]> = {},
): Promise<string> {
  const response = await request(fixture.url, { headers });
  expect(response.statusCode).toBe(200);
  return response.body.text();
}

const contextOf = async (fixture: GatewayFixture): Promise<ContextCounts | undefined> =>
  (await fixture.admin.stats({})).context;

function lastBaggage(server: UpstreamServer): string {
  return String(server.requests.at(-1)?.headers['baggage'] ?? '');
}

/** Servers of three releases behind a gateway of the given role. */
async function threeReleases(
  role: 'edge' | 'sidecar',
  changes: Partial<RouteTable> = {},
): Promise<{
  fixture: GatewayFixture;
  table: RouteTable;
  base: UpstreamServer;
  a: UpstreamServer;
  b: UpstreamServer;
}> {
  const base = await new UpstreamServer('base').listen();
  const a = await new UpstreamServer('a').listen();
  const b = await new UpstreamServer('b').listen();
  const table = tableOf(
    [serverOf(base), serverOf(a, { release: '2.0-a' }), serverOf(b, { release: '2.0-b' })],
    {
      split: byTail,
      ...changes,
    },
  );
  const fixture = await GatewayFixture.start(table, { upstreams: [base, a, b], config: { role } });
  return { fixture, table, base, a, b };
}

function without(
  table: RouteTable,
  version: number,
  server: string,
  ingress: 'draining' | 'closed',
): RouteTable {
  const servers = table.servers.map((one) => (one.name === server ? { ...one, ingress } : one));
  return { ...table, version, servers };
}

describe('a sidecar', () => {
  it('routes by the decision of the edge, counted apart from what the policy allots', async () => {
    const { fixture } = await threeReleases('sidecar');
    await using _ = fixture;
    const baggage = `a=1,changeover.route.${SERVICE}=2.0-b`;
    expect(await ask(fixture, { 'x-account': '1', baggage })).toBe('b');
    expect(await ask(fixture, { 'x-account': '2', baggage })).toBe('b');
    const buckets = (await fixture.counts()).map(({ release, bucket, requests }) => [
      release,
      bucket,
      requests,
    ]);
    expect(buckets).toEqual([
      ['2.0-b', 'context', 1],
      ['2.0-b', 'tail:even', 1],
    ]);
    expect(await contextOf(fixture)).toEqual({ missing: 0, outdated: 0, dropped: 0 });
  });

  it('goes by the policy without a decision, with the key of the context where the request has none, and says so', async () => {
    const { fixture, a, b } = await threeReleases('sidecar');
    await using _ = fixture;
    expect(await ask(fixture, { baggage: 'changeover.key=7' })).toBe('a');
    expect(await ask(fixture, { baggage: 'changeover.key=7', 'x-account': '8' })).toBe('b');
    expect(await ask(fixture)).toBe('base');
    expect(await ask(fixture, { baggage: `changeover.route.other=2.0-b` })).toBe('base');
    expect(await contextOf(fixture)).toEqual({ missing: 4, outdated: 0, dropped: 0 });
    const metrics = await (await request(`${fixture.gateway.adminUrl}/metrics`)).body.text();
    expect(metrics).toContain('changeover_gateway_context_missing_total 4\n');
    expect(lastBaggage(a)).toBe(`changeover.route.${SERVICE}=2.0-a,changeover.key=7`);
    expect(memberValue(lastBaggage(b), 'changeover.key')).toBe('7');
  });

  it('passes baggage on as it came, but for its own decision', async () => {
    const { fixture, b, base } = await threeReleases('sidecar');
    await using _ = fixture;
    const baggage = `x=1;p=q , changeover.route.${SERVICE}=2.0-b,y= %20;z`;
    await ask(fixture, { baggage });
    expect(lastBaggage(b)).toBe(baggage);
    await ask(fixture, { baggage: ['x=1;p=q', 'y=2'] });
    expect(lastBaggage(base)).toBe(`changeover.route.${SERVICE}=1.0,x=1;p=q,y=2`);
    const full = `x=${'1'.repeat(8_190)}`;
    await ask(fixture, { baggage: full });
    expect(lastBaggage(base), 'what is not ours is never dropped').toBe(full);
    expect((await contextOf(fixture))?.dropped).toBe(1);
  });

  it.each(['draining', 'closed'] as const)(
    'goes by the policy where the release is %s by now, and puts that right for those behind it (invariant 1)',
    async (ingress) => {
      const { fixture, table, a } = await threeReleases('sidecar');
      await using _ = fixture;
      await fixture.admin.publish(without(table, 2, 'b', ingress), {});
      expect(await ask(fixture, { 'x-account': '1', baggage: `changeover.route.${SERVICE}=2.0-b,x=1` })).toBe(
        'a',
      );
      expect(lastBaggage(a)).toBe(`changeover.route.${SERVICE}=2.0-a,x=1`);
      expect(await contextOf(fixture)).toMatchObject({ missing: 0, outdated: 1 });
    },
  );

  it('sends no new business to a release that a guardrail pulled', async () => {
    const { fixture, table } = await threeReleases('sidecar');
    await using _ = fixture;
    await fixture.admin.publish({ ...table, version: 2, split: { ...byTail, pulled: ['2.0-b'] } }, {});
    expect(await ask(fixture, { 'x-account': '1', baggage: `changeover.route.${SERVICE}=2.0-b` })).toBe('a');
    expect((await contextOf(fixture))?.outdated).toBe(1);
  });

  it('keeps the calls of one business transaction on the server of the first one while that drains (invariant 5)', async () => {
    const { fixture, table } = await threeReleases('sidecar', { transactions: fromBaggage });
    await using _ = fixture;
    const baggage = `changeover.transaction=t1,changeover.route.${SERVICE}=2.0-b`;
    expect(await ask(fixture, { baggage })).toBe('b');
    await fixture.admin.publish(without(table, 2, 'b', 'draining'), {});
    expect(await fixture.load('b')).toMatchObject({ transactions: 1 });
    expect(await ask(fixture, { baggage })).toBe('b');
    expect(
      await ask(fixture, { baggage: baggage.replace('t1', 't2') }),
      'other business goes elsewhere',
    ).toBe('base');
  });
});

describe('an edge', () => {
  it('believes no context of a client, and leaves the rest of its baggage alone', async () => {
    const { fixture, base } = await threeReleases('edge', { transactions: fromBaggage });
    await using _ = fixture;
    const forged = `changeover.route.${SERVICE}=2.0-b,changeover.key=2,changeover.transaction=t`;
    expect(await ask(fixture, { baggage: [`x=1;p=q,${forged}`, 'y=2,%63hangeover.key=2'] })).toBe('base');
    expect(lastBaggage(base)).toBe('x=1;p=q,y=2');
    await ask(fixture, { baggage: forged });
    expect(base.requests.at(-1)?.headers).not.toHaveProperty('baggage');
    await ask(fixture, { baggage: 'a = 1 ;p , b=2' });
    expect(lastBaggage(base)).toBe('a = 1 ;p , b=2');
    using raw = new RawConnection(fixture.port);
    raw.send('GET / HTTP/1.1\r\nHost: a\r\nBaggage: a=1\r\nConnection: baggage\r\n\r\n');
    await until(() => raw.received.endsWith('base'));
    expect(lastBaggage(base), 'meant for this hop only').toBe('');
    expect((await fixture.load('base')).transactions).toBe(0);
  });

  it.each([
    [{ role: 'sidecar', contextFor: ['pricing'] }, /only an edge decides/],
    [{ contextFor: [SERVICE] }, /service of this gateway itself/],
    [{ contextFor: ['pricing', 'pricing'] }, /twice/],
    [{ contextKey: { from: 'header', name: 'x' } }, /contextFor/],
  ] as const)('is not configured so: %j', async (config, message) => {
    await expect(
      GatewayFixture.start(null, { config: { controllerUrl: 'http://127.0.0.1:1', ...config } as never }),
    ).rejects.toThrow(message);
  });
});

/** A controller with the service `pricing`, and an edge that decides for it. */
async function edgeBeforePricing(changes: Partial<RouteTable> = {}) {
  const state = await makeStateDir();
  const options: ControllerOptions = { stateDir: state.path, readIntervalMs: 60_000 };
  const controller = await startController(options);
  const { client } = controller;
  await client.adopt('pricing', {
    release: '1.0',
    servers: ['p', 'pa', 'pb'].map((name, i) => ({
      name,
      cluster: name,
      url: `http://127.0.0.1:${9_100 + i}`,
    })),
    gateways: [{ name: 'side-1', kind: 'embedded', admin: 'http://127.0.0.1:1' }],
    measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slowMs: 1_000 },
    transactions: null,
  });
  const web = await new UpstreamServer('web').listen();
  const table = tableOf([web], {
    transactions: { id: { from: 'header', name: 'x-tx' }, idleMs: 60_000 },
    ...changes,
  });
  const config = { controllerUrl: controller.url, contextFor: ['pricing'] };
  const fixture = await GatewayFixture.start(table, { upstreams: [web], config });
  let step = 0;
  const { fence } = await client.acquire('pricing', {
    upgradeId: 'u',
    gateways: [{ name: 'side-1', kind: 'embedded', admin: 'http://127.0.0.1:1' }],
  });
  return {
    fixture,
    web,
    controller,
    config,
    /** Changes the routes of pricing, and waits until the edge knows. */
    async change(transitions: Parameters<typeof client.activate>[1]['transitions']) {
      step += 1;
      const { version } = await client.activate('pricing', {
        fence,
        step,
        ...(transitions === undefined ? {} : { transitions }),
      });
      await until(
        async () => (await innerVersion(fixture)) >= version,
        'the edge to know the routes of pricing',
      );
    },
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      await controller.close();
      await state[Symbol.asyncDispose]();
    },
  };
}

async function innerVersion(fixture: GatewayFixture): Promise<number> {
  const text = await (await request(`${fixture.gateway.adminUrl}/metrics`)).body.text();
  return Number(/^changeover_gateway_inner_table_version\{service="pricing"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

const TRIAL = [
  { kind: 'open', servers: ['pa'], release: '2.0-a' },
  { kind: 'open', servers: ['pb'], release: '2.0-b' },
  { kind: 'split', split: byTail },
] as const;

describe('an edge with services behind it', () => {
  it('decides for them by their policies, and says who, what and which', async () => {
    await using world = await edgeBeforePricing();
    const { fixture, web } = world;
    await ask(fixture, { 'x-account': '7', baggage: 'x=1;p' });
    expect(memberValue(lastBaggage(web), 'changeover.route.pricing'), 'no trial yet').toBe('1.0');
    await world.change([...TRIAL]);
    await ask(fixture, { 'x-account': '7', 'x-tx': 't 1', baggage: 'x=1;p,changeover.route.pricing=2.0-b' });
    expect(lastBaggage(web)).toBe(
      `changeover.key=7,changeover.transaction=t%201,changeover.route.${SERVICE}=1.0,changeover.route.pricing=2.0-a,x=1;p`,
    );
    await ask(fixture, { 'x-account': '8' });
    const first = lastBaggage(web);
    await ask(fixture, { 'x-account': '8' });
    expect(memberValue(first, 'changeover.route.pricing')).toBe('2.0-b');
    const ids = [first, lastBaggage(web)].map((one) => memberValue(one, 'changeover.transaction'));
    expect(new Set(ids).size, 'a request by itself is business of its own').toBe(2);
    // Libraries on the way throw at what is no UTF-8, so that it must not come from here.
    using raw = new RawConnection(fixture.port);
    raw.send('GET / HTTP/1.1\r\nHost: a\r\nX-Account: \xff7\r\nX-Tx: \xff\r\n\r\n');
    await until(() => raw.received.endsWith('web'));
    expect(decodeURIComponent(lastBaggage(web))).toMatch(
      /^changeover\.transaction=[\x21-\x7e]+,changeover\.route\.shop=1\.0,changeover\.route\.pricing=2\.0-a$/,
    );
  });

  it('keeps what it decided for a transaction, whatever changes, and over its own restart (invariant 5)', async () => {
    await using world = await edgeBeforePricing();
    const { fixture, web } = world;
    await ask(fixture, { 'x-account': '7', 'x-tx': 't1' });
    await world.change([...TRIAL]);
    const decided = async (on: GatewayFixture, tx: string): Promise<string | undefined> => {
      await ask(on, { 'x-account': '7', 'x-tx': tx });
      return memberValue(lastBaggage(web), 'changeover.route.pricing');
    };
    expect(await decided(fixture, 't1')).toBe('1.0');
    expect(await decided(fixture, 't2')).toBe('2.0-a');
    await fixture.gateway.close();
    // Not even the controller has to be there: the routes of both services are on disk.
    await world.controller.close();
    await using again = await GatewayFixture.start(null, { folder: fixture.folder, config: world.config });
    expect(await decided(again, 't1')).toBe('1.0');
    expect(await decided(again, 't2')).toBe('2.0-a');
    expect(await decided(again, 't3')).toBe('2.0-a');
  });
});
