import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { RouteTable, TrafficSplit } from '../../src/domain/routes/table.ts';
import { GatewayFixture, serverOf, sum, tableOf, until } from './support/gateway-fixture.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const get = async (
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> => {
  const response = await request(url, { headers });
  return { status: response.statusCode, body: await response.body.text() };
};

const byTail: TrafficSplit = {
  key: { from: 'header', name: 'X-Account' },
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

async function threeReleases(changes: Partial<RouteTable> = {}): Promise<{
  fixture: GatewayFixture;
  table: RouteTable;
  servers: Record<'base' | 'a' | 'b', UpstreamServer>;
}> {
  const base = await new UpstreamServer('base-1').listen();
  const a = await new UpstreamServer('a-1').listen();
  const b = await new UpstreamServer('b-1').listen();
  const table = tableOf(
    [
      serverOf(base),
      serverOf(a, { release: '2.0-a', cluster: 'ca' }),
      serverOf(b, { release: '2.0-b', cluster: 'cb' }),
    ],
    { split: byTail, ...changes },
  );
  return {
    fixture: await GatewayFixture.start(table, { upstreams: [base, a, b] }),
    table,
    servers: { base, a, b },
  };
}

describe('the gateway routes', () => {
  it('by the tail of a key in a header, and counts under the policy bucket', async () => {
    const { fixture } = await threeReleases();
    await using _ = fixture;
    expect(await get(fixture.url, { 'x-account': '4711' })).toEqual({ status: 200, body: 'a-1' });
    expect(await get(fixture.url, { 'x-account': '4712' })).toEqual({ status: 200, body: 'b-1' });
    expect(await get(fixture.url)).toEqual({ status: 200, body: 'base-1' });
    const counts = await fixture.counts();
    expect(
      counts.map(({ server, release, bucket, requests, succeeded }) => ({
        server,
        release,
        bucket,
        requests,
        succeeded,
      })),
    ).toEqual([
      { server: 'a-1', release: '2.0-a', bucket: 'tail:odd', requests: 1, succeeded: 1 },
      { server: 'b-1', release: '2.0-b', bucket: 'tail:even', requests: 1, succeeded: 1 },
      { server: 'base-1', release: '1.0', bucket: 'no-key', requests: 1, succeeded: 1 },
    ]);
  });

  it.each([
    { key: { from: 'cookie', name: 'acct' } as const, url: '/', headers: { cookie: 'x=2; acct=17; y=4' } },
    { key: { from: 'query', name: 'acct' } as const, url: '/p?x=2&acct=1%37', headers: {} },
    { key: { from: 'path', segment: 2 } as const, url: '/accounts/17/orders?x=2', headers: {} },
  ])('by a key in the $key.from', async ({ key, url, headers }) => {
    const { fixture } = await threeReleases({ split: { ...byTail, key } });
    await using _ = fixture;
    expect((await get(fixture.url + url, headers as Record<string, string>)).body).toBe('a-1');
    expect((await get(`${fixture.url}/`)).body).toBe('base-1');
  });

  it('to the server with the fewest requests in flight, taking turns among equals', async () => {
    const one = await new UpstreamServer('one').listen();
    const two = await new UpstreamServer('two').listen();
    await using fixture = await GatewayFixture.start(tableOf([one, two]), { upstreams: [one, two] });
    for (let i = 0; i < 10; i += 1) await get(fixture.url);
    expect([one.requests.length, two.requests.length]).toEqual([5, 5]);

    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    one.handler = (_req, res) => void held.then(() => answer(res, 200, 'one'));
    const slow: Promise<unknown>[] = [];
    while ((await fixture.load('one')).inFlight === 0) slow.push(get(fixture.url));
    const before = two.requests.length;
    for (let i = 0; i < 5; i += 1) await get(fixture.url);
    expect(two.requests.length - before).toBe(5);
    release();
    await Promise.all(slow);
  });

  it('to the main release when a candidate has no open server (failover)', async () => {
    const { fixture, table, servers } = await threeReleases();
    await using _ = fixture;
    await fixture.admin.publish(
      {
        ...table,
        version: 2,
        servers: table.servers.map((s) => (s.name === 'a-1' ? { ...s, ingress: 'draining' as const } : s)),
      },
      {},
    );
    expect((await get(fixture.url, { 'x-account': '1' })).body).toBe('base-1');
    expect(servers.a.requests).toHaveLength(0);
    expect((await fixture.counts()).map((c) => c.bucket)).toEqual(['failover']);
  });

  it('answers 503 with Retry-After when nothing is open', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([serverOf(one, { ingress: 'closed' })]), {
      upstreams: [one],
    });
    const response = await request(fixture.url);
    await response.body.dump();
    expect(response.statusCode).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
  });
});

describe('a server that takes no connections', () => {
  it('costs no request: another one takes it, and it counts once', async () => {
    const up = await new UpstreamServer('up').listen();
    const down = await new UpstreamServer('down').listen();
    await down.close();
    await using fixture = await GatewayFixture.start(tableOf([up, down]), { upstreams: [up] });
    const body = 'x'.repeat(10_000);
    for (let i = 0; i < 4; i += 1) {
      const response = await request(fixture.url, { method: 'POST', body });
      expect(response.statusCode).toBe(200);
      await response.body.dump();
    }
    const counts = await fixture.counts();
    expect(counts.map((c) => [c.server, c.requests, c.succeeded])).toEqual([['up', 4, 4]]);
    expect((await fixture.load('down')).healthy).toBe(false);
    expect((await fixture.load('down')).inFlight).toBe(0);
  });

  it('gets requests again once it takes connections', async () => {
    const up = await new UpstreamServer('up').listen();
    const down = await new UpstreamServer('down').listen();
    await down.close();
    await using fixture = await GatewayFixture.start(tableOf([up, down]), { upstreams: [up, down] });
    await get(fixture.url);
    await get(fixture.url);
    expect((await fixture.load('down')).healthy).toBe(false);
    await down.listen();
    await until(async () => (await fixture.load('down')).healthy);
    await get(fixture.url);
    await get(fixture.url);
    expect(down.requests.length).toBe(1);
  });

  it('is tried all the same when it is the only one; the client gets 502 and it counts as failed', async () => {
    const down = await new UpstreamServer('down').listen();
    await down.close();
    await using fixture = await GatewayFixture.start(tableOf([down]));
    expect((await get(fixture.url)).status).toBe(502);
    expect((await get(fixture.url)).status).toBe(502);
    const counts = await fixture.counts();
    expect([sum(counts, 'requests'), sum(counts, 'failed')]).toEqual([2, 2]);
  });
});
