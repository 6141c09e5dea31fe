import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { Ingress, RouteTable } from '../../src/domain/routes/table.ts';
import { GatewayFixture, serverOf, tableOf, until } from './support/gateway-fixture.ts';
import { UpstreamServer } from './support/upstream-server.ts';

const rule = { id: { from: 'header', name: 'X-Transaction' }, idleMs: 60_000 } as const;

async function inTransaction(fixture: GatewayFixture, id: string): Promise<string> {
  const response = await request(fixture.url, { headers: { 'x-transaction': id } });
  expect(response.statusCode).toBe(200);
  return response.body.text();
}

async function stored(folder: string): Promise<string> {
  return readFile(join(folder, 'transactions.json'), 'utf8').catch(() => '');
}

/** Two servers, `one` of them with the open transactions a, b and c, after which it has this ingress. */
async function withTransactions(ingress: Ingress, changes: Partial<RouteTable> = {}) {
  const one = await new UpstreamServer('one').listen();
  const two = await new UpstreamServer('two').listen();
  const before = tableOf([serverOf(one), serverOf(two, { ingress: 'closed' })], { transactions: rule });
  const table = {
    ...before,
    version: 2,
    servers: [serverOf(one, { ingress }), serverOf(two)],
    ...changes,
  };
  const fixture = await GatewayFixture.start(before, { upstreams: [one, two] });
  for (const id of ['a', 'b', 'c']) expect(await inTransaction(fixture, id)).toBe('one');
  await fixture.admin.publish(table, {});
  return { fixture, table, one, two, folder: fixture.folder };
}

describe('transactions that are open when the gateway is restarted', () => {
  it('are still counted, and stay on their draining server (invariants 2 and 5)', async () => {
    const { fixture, folder } = await withTransactions('draining');
    await using _ = fixture;
    await fixture.gateway.close();
    await using again = await GatewayFixture.start(null, { folder });
    expect(await again.load('one')).toMatchObject({ transactions: 3, inFlight: 0 });
    for (const id of ['a', 'b', 'c']) expect(await inTransaction(again, id)).toBe('one');
    expect(await inTransaction(again, 'd')).toBe('two');
  });

  it('are over once they are idle for long enough, and forgotten on disk with it', async () => {
    const { fixture, table, folder } = await withTransactions('open');
    await using _ = fixture;
    await fixture.gateway.close();
    const hasty = { ...table, transactions: { ...rule, idleMs: 50 } };
    await writeFile(join(folder, 'routes.json'), JSON.stringify(hasty));
    await using again = await GatewayFixture.start(null, { folder });
    await until(async () => (await again.load('one')).transactions === 0);
    await until(async () => (await stored(folder)) === '');
  });

  it.each([
    ['its server is closed', (table: RouteTable) => withOne(table, { ingress: 'closed' })],
    ['its server runs another release', (table: RouteTable) => withOne(table, { release: '2.0' })],
    ['its server is gone', (table: RouteTable) => ({ ...table, servers: table.servers.slice(1) })],
    ['transactions are no longer told apart', (table: RouteTable) => ({ ...table, transactions: null })],
  ])('are given up where %s by the first routes', async (_reason, change) => {
    const { fixture, table, folder } = await withTransactions('open');
    await using _ = fixture;
    await fixture.gateway.close();
    expect(await stored(folder)).toContain('"a"');
    await writeFile(join(folder, 'routes.json'), JSON.stringify(change({ ...table, version: 3 })));
    await using again = await GatewayFixture.start(null, { folder });
    expect((await again.load('one')).transactions).toBe(0);
    await again.gateway.close();
    expect(await stored(folder)).toBe('');
  });

  it('wait on disk for as long as there are no routes', async () => {
    const { fixture, table, folder } = await withTransactions('draining');
    await using _ = fixture;
    await fixture.gateway.close();
    await rm(join(folder, 'routes.json'));
    await using idle = await GatewayFixture.start(null, { folder });
    await idle.gateway.close();
    await using again = await GatewayFixture.start(table, { folder });
    expect((await again.load('one')).transactions).toBe(3);
  });

  it('are as many as the gateway may remember', async () => {
    const { fixture, folder } = await withTransactions('open');
    await using _ = fixture;
    await fixture.gateway.close();
    await using again = await GatewayFixture.start(null, { folder, config: { maxTransactions: 2 } });
    expect((await again.load('one')).transactions).toBe(2);
  });

  it('are on disk soon after they began, for a gateway that is killed', async () => {
    const { fixture, folder } = await withTransactions('draining');
    await using _ = fixture;
    await until(async () => (await stored(folder)).includes('"c"'), 'the transactions are stored');
    const copy = await mkdtemp(join(tmpdir(), 'gateway-'));
    for (const file of ['routes.json', 'transactions.json'])
      await copyFile(join(folder, file), join(copy, file));
    await using again = await GatewayFixture.start(null, { folder: copy });
    expect((await again.load('one')).transactions).toBe(3);
  });

  it.each([
    ['damaged', '{"service":"shop","transactions":[{"server":"o'],
    ['of another form', '{"service":"shop","transactions":{"a":1}}'],
    ['of another service', '{"service":"bank","transactions":[]}'],
  ])('are done without where their file is %s', async (_what, text) => {
    const one = await new UpstreamServer('one').listen();
    const folder = await mkdtemp(join(tmpdir(), 'gateway-'));
    await writeFile(join(folder, 'transactions.json'), text);
    await using fixture = await GatewayFixture.start(tableOf([one], { transactions: rule }), {
      folder,
      upstreams: [one],
    });
    expect((await fixture.load('one')).transactions).toBe(0);
    expect(await inTransaction(fixture, 'a')).toBe('one');
    await fixture.gateway.close();
    expect(JSON.parse(await stored(folder))).toEqual({
      service: 'shop',
      transactions: [{ server: 'one', release: '1.0', bucket: 'main', ids: ['a'] }],
    });
  });
});

function withOne(table: RouteTable, changes: Partial<RouteTable['servers'][number]>): RouteTable {
  return {
    ...table,
    servers: table.servers.map((server) => (server.name === 'one' ? { ...server, ...changes } : server)),
  };
}
