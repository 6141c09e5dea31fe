import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { requireComponent } from '../support/require-component.ts';
import { serverOf, sum, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';

const TRANSACTIONS = { id: { from: 'header', name: 'x-transaction' }, endHeader: 'x-end' } as const;
const MEASURE = {
  allocated: { method: 'POST' },
  volume: { kind: 'amount', match: { method: 'POST', status: '201' }, amountHeader: 'x-amount' },
} as const;

interface Shop extends AsyncDisposable {
  readonly fixture: HaproxyFixture;
  readonly one: UpstreamServer;
  readonly two: UpstreamServer;
  readonly table: RouteTable;
}

/** Two servers on release 1.0. They answer with their name, and as the request asks by `x-status` and `x-amount`. */
async function shop(): Promise<Shop> {
  const [one, two] = await Promise.all(['one', 'two'].map((name) => new UpstreamServer(name).listen()));
  if (one === undefined || two === undefined) throw new Error('no servers');
  for (const server of [one, two]) {
    server.handler = (req, res) => {
      const amount = req.headers['x-want'];
      const end = req.headers['x-last'] === undefined ? {} : { 'x-end': '1' };
      answer(res, Number(req.headers['x-status'] ?? 200), server.name, {
        ...(typeof amount === 'string' ? { 'x-amount': amount } : {}),
        ...end,
      });
    };
  }
  const plan = planFor([one, two], {
    traffic: { transactions: { ...TRANSACTIONS, idle: '30s' } },
    measure: MEASURE,
  });
  const fixture = await HaproxyFixture.start(plan, { upstreams: [one, two] });
  const table = tableOf([one, two], {
    transactions: plan.traffic.transactions ?? null,
    measure: plan.measure,
  });
  return { fixture, one, two, table, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

async function send(url: string, headers: Record<string, string> = {}, method: 'GET' | 'POST' = 'GET') {
  const response = await request(url, { method, headers });
  return { status: response.statusCode, body: await response.body.text() };
}

describe('HAProxy as a gateway', () => {
  it('keeps a transaction on its server while that drains, and says when it is over (invariant 5)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table, one, two } = all;
    await fixture.admin.publish(table, {});
    const id = { 'x-transaction': 't 1;\\x' };
    const { body: home } = await send(fixture.url, id);
    const other = home === 'one' ? two : one;
    const drains = {
      ...table,
      version: 2,
      servers: table.servers.map((server) => ({
        ...server,
        ingress: server.name === home ? ('draining' as const) : ('open' as const),
      })),
    };
    await fixture.admin.publish(drains, {});
    for (let i = 0; i < 5; i += 1) {
      expect((await send(fixture.url, id)).body).toBe(home);
      expect((await send(fixture.url, { 'x-transaction': `new-${i}` })).body).toBe(other.name);
      expect((await send(fixture.url)).body).toBe(other.name);
    }
    const load = async () => (await fixture.admin.stats({})).servers.find(({ name }) => name === home);
    expect(await load()).toMatchObject({ inFlight: 0, transactions: 1 });
    expect((await send(fixture.url, { ...id, 'x-last': '1' })).body).toBe(home);
    await until(async () => (await load())?.transactions === 0, 'the transaction is over');
    expect((await send(fixture.url, id)).body).toBe(other.name);
  });

  it('counts each answer once, amounts to the last digit, and loses none over a reload', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    await fixture.admin.publish(table, {});
    const round = async () => {
      await send(fixture.url);
      await send(fixture.url, { 'x-status': '404' });
      await send(fixture.url, { 'x-status': '500' }, 'POST');
      await send(fixture.url, { 'x-status': '201', 'x-want': '1234567.8901' }, 'POST');
      await send(fixture.url, { 'x-status': '201', 'x-want': '-0.5' }, 'POST');
      await send(fixture.url, { 'x-status': '201', 'x-want': 'much' }, 'POST');
    };
    await round();
    // What is not read by then keeps its class only: a process forgets its tables when it is replaced.
    await fixture.admin.stats({});
    await fixture.reloaded();
    await round();
    const { counts } = await fixture.admin.stats({});
    expect(counts.every(({ release, cluster }) => release === '1.0' && cluster === 'main')).toBe(true);
    expect(sum(counts, 'requests')).toBe(12);
    expect(sum(counts, 'succeeded')).toBe(8);
    expect(sum(counts, 'clientErrors')).toBe(2);
    expect(sum(counts, 'serverErrors')).toBe(2);
    expect(sum(counts, 'allocated')).toBe(8);
    expect(sum(counts, 'volumeCount')).toBe(6);
    expect(sum(counts, 'volumeAmount')).toBeCloseTo(2 * (1234567.8901 - 0.5), 4);
    // A connection that was idle at the reload brings the old process one more request, of which the class is known.
    const late = sum(
      counts.filter(({ bucket }) => bucket === 'reload'),
      'requests',
    );
    expect(counts.flatMap(({ latency }) => latency).reduce((a, b) => a + b, late)).toBe(12);
  });

  it('loses no answer of a process that was replaced, also where nobody read its tables in time', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    await fixture.admin.publish(table, {});
    for (let cycle = 0; cycle < 3; cycle += 1) {
      for (let i = 0; i < 20; i += 1) await send(fixture.url, { 'x-status': i % 4 === 0 ? '404' : '200' });
      await fixture.reloaded();
    }
    await until(async () => sum((await fixture.admin.stats({})).counts, 'requests') >= 60);
    const { counts } = await fixture.admin.stats({});
    expect(sum(counts, 'requests')).toBe(60);
    expect(sum(counts, 'clientErrors')).toBe(15);
  });

  it('comes back from a kill with the routes that it had, before its companion is there (invariant 4)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table, one, two } = all;
    const onlyTwo = {
      ...table,
      version: 7,
      servers: [serverOf(one, { ingress: 'closed' }), serverOf(two)],
    };
    await fixture.admin.publish(onlyTwo, {});
    await fixture.companion.close();
    await fixture.haproxy.kill();
    fixture.haproxy.start();
    await fixture.waitForHaproxy();
    for (let i = 0; i < 6; i += 1) expect((await send(fixture.url)).body).toBe('two');
    await fixture.startCompanion();
    expect(await fixture.admin.executing({})).toEqual({ gateway: 'gw-1', version: 7 });
    await fixture.admin.publish({ ...table, version: 8 }, {});
    expect(new Set([await send(fixture.url), await send(fixture.url)].map(({ body }) => body)).size).toBe(2);
  });

  it('mends what somebody changed by hand in a new process, before it acknowledges', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table, one, two } = all;
    await fixture.admin.publish(
      { ...table, version: 3, servers: [serverOf(one), serverOf(two, { ingress: 'closed' })] },
      {},
    );
    await fixture.spoilFiles();
    await fixture.reloaded();
    expect((await fixture.admin.executing({})).version).toBe(3);
    for (let i = 0; i < 6; i += 1) expect((await send(fixture.url)).body).toBe('one');
  });

  it('refuses routes of a trial whose rules are not those of the configuration, and says what to do', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    const split = {
      key: { from: 'cookie', name: 'other' },
      policy: { kind: 'tail', rules: [], otherwise: '1.0' },
      withoutKey: '1.0',
      baseline: '1.0',
      share: 1,
      salt: 's',
      pulled: [],
    } as const;
    await expect(fixture.admin.publish({ ...table, split }, {})).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: expect.stringContaining('changeover haproxy render') as string,
    });
  });

  it('leaves an HAProxy alone whose rules another Changeover wrote, and says what to do', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    await fixture.admin.publish(table, {});
    const config = join(fixture.folder, 'haproxy.cfg');
    const text = await readFile(config, 'utf8');
    await writeFile(config, text.replace(/CHANGEOVER_RULES \S+/, 'CHANGEOVER_RULES 3'));
    const [routes, process] = await Promise.all([fixture.routesOnDisk(), fixture.process()]);
    await fixture.haproxy.reload();
    await until(async () => !['', process].includes(await fixture.process()), 'the new process answers');
    await expect(fixture.admin.publish({ ...table, version: 2 }, {})).rejects.toMatchObject({
      code: 'InvalidRequest',
      message: expect.stringMatching(/version 3.*changeover haproxy render/) as string,
    });
    expect(await fixture.routesOnDisk()).toBe(routes);
    const response = await request(fixture.url);
    await response.body.dump();
    expect(response.statusCode).toBe(200);
  });
});
