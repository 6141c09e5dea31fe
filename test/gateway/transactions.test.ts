import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { Ingress, RouteTable } from '../../src/domain/routes/table.ts';
import { GatewayFixture, serverOf, sum, tableOf, until } from './support/gateway-fixture.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const rule = {
  id: { from: 'header', name: 'X-Transaction' },
  idleMs: 60_000,
  endHeader: 'x-transaction-over',
} as const;

async function twoServers(
  changes: Partial<RouteTable> = {},
  handler?: UpstreamServer['handler'],
): Promise<{ fixture: GatewayFixture; table: RouteTable; upstreams: readonly UpstreamServer[] }> {
  const upstreams = [
    await new UpstreamServer('one', handler).listen(),
    await new UpstreamServer('two', handler).listen(),
  ];
  const table = tableOf(upstreams, { transactions: rule, ...changes });
  return { fixture: await GatewayFixture.start(table, { upstreams }), table, upstreams };
}

async function ask(fixture: GatewayFixture, headers: Record<string, string>): Promise<string> {
  const response = await request(fixture.url, { headers });
  expect(response.statusCode).toBe(200);
  return response.body.text();
}

const inTransaction = (fixture: GatewayFixture, id: string): Promise<string> =>
  ask(fixture, { 'x-transaction': id });

function withIngress(
  table: RouteTable,
  version: number,
  ingress: Partial<Record<string, Ingress>>,
): RouteTable {
  return {
    ...table,
    version,
    servers: table.servers.map((server) => ({ ...server, ingress: ingress[server.name] ?? server.ingress })),
  };
}

const live = async (fixture: GatewayFixture): Promise<number> =>
  (await fixture.load('one')).transactions + (await fixture.load('two')).transactions;

const metric = async (fixture: GatewayFixture, name: string): Promise<number> => {
  const text = await (await request(`${fixture.gateway.adminUrl}/metrics`)).body.text();
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
};

describe('a transaction of several requests', () => {
  it('stays on the server on which it began', async () => {
    const { fixture } = await twoServers();
    await using _ = fixture;
    const began = await inTransaction(fixture, 't1');
    for (let i = 0; i < 5; i += 1) {
      await ask(fixture, {});
      expect(await inTransaction(fixture, 't1')).toBe(began);
    }
    expect(await fixture.load(began)).toMatchObject({ transactions: 1, inFlight: 0 });
  });

  it('stays there while the server drains, which new business does not enter (invariant 5)', async () => {
    const { fixture, table } = await twoServers();
    await using _ = fixture;
    const began = await inTransaction(fixture, 't1');
    await fixture.admin.publish(withIngress(table, 2, { [began]: 'draining' }), {});
    expect(await inTransaction(fixture, 't1')).toBe(began);
    expect(await inTransaction(fixture, 't2')).not.toBe(began);
    expect(await ask(fixture, {})).not.toBe(began);
    expect((await fixture.load(began)).transactions).toBe(1);
    expect(await metric(fixture, 'changeover_gateway_cut_transactions_total')).toBe(0);
  });

  it('is over when the server says so, and then leaves no connection to a draining server', async () => {
    const { fixture, table, upstreams } = await twoServers({}, (req, res) => {
      answer(res, 200, 'ok', req.url === '/end' ? { 'X-Transaction-Over': 'yes' } : {});
    });
    await using _ = fixture;
    await inTransaction(fixture, 't1');
    const began = (await fixture.load('one')).transactions === 1 ? 'one' : 'two';
    const server = upstreams.find((each) => each.name === began);
    await fixture.admin.publish(withIngress(table, 2, { [began]: 'draining' }), {});
    expect(server?.sockets.size).toBe(1);
    await (await request(`${fixture.url}/end`, { headers: { 'x-transaction': 't1' } })).body.dump();
    expect((await fixture.load(began)).transactions).toBe(0);
    await until(() => server?.sockets.size === 0, 'the idle connection to be closed');
  });

  it('is over when it was idle for long enough', async () => {
    const { fixture } = await twoServers({ transactions: { ...rule, idleMs: 30 } });
    await using _ = fixture;
    for (let i = 0; i < 20; i += 1) await inTransaction(fixture, `t${i}`);
    await until(async () => (await live(fixture)) === 0);
    expect(await metric(fixture, 'changeover_gateway_cut_transactions_total')).toBe(0);
  });

  it('is not over while a request of it is under way, however long', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { fixture } = await twoServers({ transactions: { ...rule, idleMs: 20 } }, (req, res) => {
      if (req.url === '/slow') void held.then(() => answer(res, 200, 'slow'));
      else answer(res, 200, 'quick');
    });
    await using _ = fixture;
    const slow = request(`${fixture.url}/slow`, { headers: { 'x-transaction': 'long' } });
    await until(async () => (await live(fixture)) === 1);
    await inTransaction(fixture, 'short');
    // The one that came later is over before the one that is still at it.
    await until(async () => (await live(fixture)) === 1);
    release();
    await (await slow).body.dump();
    await until(async () => (await live(fixture)) === 0);
  });

  it('is cut, told and goes on elsewhere on its version when its server is closed', async () => {
    const { fixture, table } = await twoServers();
    await using _ = fixture;
    const began = await inTransaction(fixture, 't1');
    await fixture.admin.publish(withIngress(table, 2, { [began]: 'closed' }), {});
    expect(await fixture.load(began)).toMatchObject({ transactions: 0 });
    const other = await inTransaction(fixture, 't1');
    expect(other).not.toBe(began);
    expect(await inTransaction(fixture, 't1')).toBe(other);
    expect(await metric(fixture, 'changeover_gateway_cut_transactions_total')).toBe(1);
    expect(await live(fixture)).toBe(1);
  });

  it('is cut when its server came back with another release', async () => {
    const { fixture, table } = await twoServers();
    await using _ = fixture;
    const began = await inTransaction(fixture, 't1');
    const servers = table.servers.map((s) => (s.name === began ? { ...s, release: '2.0' } : s));
    await fixture.admin.publish({ ...table, version: 2, servers }, {});
    expect(await inTransaction(fixture, 't1')).not.toBe(began);
    expect(await metric(fixture, 'changeover_gateway_cut_transactions_total')).toBe(1);
  });

  it('that could not even begin, since its server took no connection, is none that was cut', async () => {
    const up = await new UpstreamServer('up').listen();
    const down = await new UpstreamServer('down').listen();
    await down.close();
    await using fixture = await GatewayFixture.start(tableOf([up, down], { transactions: rule }), {
      upstreams: [up],
    });
    for (let i = 0; i < 4; i += 1) expect(await inTransaction(fixture, `t${i}`)).toBe('up');
    expect(await metric(fixture, 'changeover_gateway_cut_transactions_total')).toBe(0);
    expect(await fixture.load('up')).toMatchObject({ transactions: 4 });
    expect(await fixture.load('down')).toMatchObject({ transactions: 0 });
  });

  it('begins where the server sets its cookie, and ends where it deletes it', async () => {
    const { fixture, upstreams } = await twoServers(
      { transactions: { id: { from: 'cookie', name: 'sid' }, idleMs: 60_000 } },
      (req, res) => {
        const cookies: Record<string, string> = { '/login': 'sid=abc; Path=/', '/logout': 'sid=; Max-Age=0' };
        const cookie = cookies[req.url ?? ''];
        answer(res, 200, 'ok', cookie === undefined ? {} : { 'set-cookie': cookie });
      },
    );
    await using _ = fixture;
    await (await request(`${fixture.url}/login`)).body.dump();
    const began = upstreams.find((server) => server.requests.length === 1);
    expect((await fixture.load(began?.name ?? '')).transactions).toBe(1);
    for (let i = 0; i < 3; i += 1) await ask(fixture, { cookie: 'a=b; sid=abc' });
    expect(began?.requests).toHaveLength(4);
    await (await request(`${fixture.url}/logout`, { headers: { cookie: 'sid=abc' } })).body.dump();
    expect(await live(fixture)).toBe(0);
  });

  it('is forgotten first when idle for longest, once there are too many', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one], { transactions: rule }), {
      upstreams: [one],
      config: { maxTransactions: 3 },
    });
    for (let i = 0; i < 5; i += 1) await inTransaction(fixture, `t${i}`);
    expect((await fixture.load('one')).transactions).toBe(3);
    expect(await metric(fixture, 'changeover_gateway_evicted_transactions_total')).toBe(2);
  });
});

describe('a transaction among too many', () => {
  it('is kept where a draining server waits for it (invariant 5)', async () => {
    const one = await new UpstreamServer('one').listen();
    const two = await new UpstreamServer('two').listen();
    const table = tableOf([serverOf(one), serverOf(two, { ingress: 'closed' })], { transactions: rule });
    await using fixture = await GatewayFixture.start(table, {
      upstreams: [one, two],
      config: { maxTransactions: 3 },
    });
    await inTransaction(fixture, 'old');
    await fixture.admin.publish(withIngress(table, 2, { one: 'draining', two: 'open' }), {});
    for (let i = 0; i < 6; i += 1) expect(await inTransaction(fixture, `t${i}`)).toBe('two');
    expect(await inTransaction(fixture, 'old')).toBe('one');
    expect(await live(fixture)).toBe(3);
    expect(await metric(fixture, 'changeover_gateway_evicted_transactions_total')).toBe(4);
  });
});

describe('a server that is taken out of traffic', () => {
  it('has no connection left once its last request has ended (invariant 2)', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const one = await new UpstreamServer(
      'one',
      (_req, res) => void held.then(() => answer(res, 200, 'one')),
    ).listen();
    const two = await new UpstreamServer('two').listen();
    const table = tableOf([serverOf(one), serverOf(two, { ingress: 'closed' })]);
    await using fixture = await GatewayFixture.start(table, { upstreams: [one, two] });
    const requests = Array.from({ length: 5 }, () => request(fixture.url));
    await until(async () => (await fixture.load('one')).inFlight === 5);
    await fixture.admin.publish(withIngress(table, 2, { one: 'closed', two: 'open' }), {});
    expect(await ask(fixture, {})).toBe('two');
    expect((await fixture.load('one')).inFlight).toBe(5);
    release();
    for (const response of await Promise.all(requests)) expect(await response.body.text()).toBe('one');
    expect((await fixture.load('one')).inFlight).toBe(0);
    await until(() => one.sockets.size === 0, 'connections to be closed');
    await fixture.admin.publish(withIngress(table, 3, { one: 'open', two: 'open' }), {});
    await Promise.all([ask(fixture, {}), ask(fixture, {})]);
    expect(one.connections).toBe(6);
    expect(sum(await fixture.counts(), 'succeeded')).toBe(8);
  });

  it('keeps counting what it still has under way after it was removed', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const one = await new UpstreamServer(
      'one',
      (_req, res) => void held.then(() => answer(res, 200, 'one')),
    ).listen();
    const two = await new UpstreamServer('two').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one, two] });
    const under = request(fixture.url);
    await until(async () => (await fixture.load('one')).inFlight === 1);
    await fixture.admin.publish(tableOf([two], { version: 2 }), {});
    expect((await fixture.load('one')).inFlight).toBe(1);
    release();
    expect(await (await under).body.text()).toBe('one');
    const stats = await fixture.admin.stats({});
    expect(stats.servers.map((server) => server.name)).toEqual(['two']);
    await until(() => one.sockets.size === 0);
  });
});
