import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { request } from 'undici';
import { totalsOf, withReading, type GatewayTraffic } from '../../src/controller/traffic-totals.ts';
import { countOf, definitionWith, makeStateDir, startController } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const eventually = { timeout: 15_000, interval: 10 };

async function startPair() {
  const dir = await makeStateDir();
  const one = await startStubGateway('gw-1');
  const two = await startStubGateway('gw-2');
  const open = () => startController({ stateDir: dir.path });
  let controller = await open();
  await controller.client.adopt(service, definitionWith([one.address, two.address]));
  await controller.client.publish(service);
  return {
    one,
    two,
    dir,
    get client() {
      return controller.client;
    },
    get url() {
      return controller.url;
    },
    close: () => controller.close(),
    async restart() {
      await controller.close();
      controller = await open();
    },
    requests: async () => {
      const { counts } = await controller.client.traffic(service);
      return counts.reduce((sum, row) => sum + row.requests, 0);
    },
    async [Symbol.asyncDispose]() {
      await controller.close();
      await Promise.all([one.stop(), two.stop()]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe('the observatory', () => {
  it('adds up what all gateways counted, per release, cluster, server and bucket', async () => {
    await using up = await startPair();
    const latency = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    up.one.counts = [
      countOf({ requests: 3, succeeded: 3, volumeAmount: 1.5, latency }),
      countOf({ release: '2.0-a', requests: 1 }),
    ];
    up.two.counts = [countOf({ requests: 4, serverErrors: 4, volumeAmount: 2, latency })];
    const { counts, unread, tableVersion } = await up.client.traffic(service);
    expect({ unread, tableVersion }).toEqual({ unread: [], tableVersion: 1 });
    expect(counts).toEqual([
      countOf({
        requests: 7,
        succeeded: 3,
        serverErrors: 4,
        volumeAmount: 3.5,
        latency: latency.map((n) => 2 * n),
      }),
      countOf({ release: '2.0-a', requests: 1 }),
    ]);
  });

  it('neither loses nor doubles what was counted before a gateway was restarted', async () => {
    await using up = await startPair();
    up.one.counts = [countOf({ requests: 100 })];
    up.two.counts = [countOf({ requests: 10 })];
    expect(await up.requests()).toBe(110);
    await up.one.restart();
    up.one.counts = [countOf({ requests: 5 })];
    expect(await up.requests()).toBe(115);
    await up.one.restart();
    up.one.counts = [countOf({ requests: 1 })];
    expect(await up.requests()).toBe(116);
    expect(await up.requests()).toBe(116);
  });

  it('neither loses nor doubles anything when the controller is restarted', async () => {
    await using up = await startPair();
    up.one.counts = [countOf({ requests: 100 })];
    expect(await up.requests()).toBe(100);
    await up.restart();
    expect(await up.requests()).toBe(100);
    await up.one.restart();
    up.one.counts = [countOf({ requests: 7 })];
    await up.restart();
    expect(await up.requests()).toBe(107);
  });

  it('names a gateway that it could not read, and keeps what that one had counted', async () => {
    await using up = await startPair();
    up.one.counts = [countOf({ requests: 100 })];
    await up.requests();
    await up.one.stop();
    const { unread, counts } = await up.client.traffic(service);
    expect(unread).toEqual(['gw-1']);
    expect(counts[0]?.requests).toBe(100);
  });

  it('joins readings in whatever order they arrive, and however often', () => {
    const reading = fc.record({
      epoch: fc.constantFrom('e1', 'e2', 'e3'),
      requests: fc.nat({ max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(reading), (readings) => {
        const add = (known: GatewayTraffic | undefined, { epoch, requests }: (typeof readings)[number]) =>
          withReading(known, { epoch, counts: [countOf({ requests })] });
        const traffic = [...readings, ...readings].reduce<GatewayTraffic | undefined>(add, undefined);
        const highest = ['e1', 'e2', 'e3'].map((epoch) =>
          Math.max(0, ...readings.filter((one) => one.epoch === epoch).map((one) => one.requests)),
        );
        const total = traffic === undefined ? 0 : (totalsOf({ 'gw-1': traffic })[0]?.requests ?? 0);
        expect(total).toBe(highest.reduce((sum, n) => sum + n, 0));
      }),
    );
  });

  it('keeps a sum of epochs, so that a gateway may start for ever', () => {
    let traffic: GatewayTraffic | undefined;
    for (let n = 1; n <= 100; n++) {
      traffic = withReading(traffic, { epoch: `e${n}`, counts: [countOf({ requests: n })] });
    }
    expect(traffic?.epochs.length).toBeLessThan(10);
    expect(totalsOf({ 'gw-1': traffic ?? { epochs: [], closed: [] } })[0]?.requests).toBe(5050);
  });
});

describe('the load on servers', () => {
  it('is what every gateway says now, about the servers asked for', async () => {
    await using up = await startPair();
    up.one.inFlight = { l1: 3, b1: 9 };
    const { gateways } = await up.client.load(service, ['l1', 'r1']);
    expect(gateways.map(({ gateway, tableVersion }) => ({ gateway, tableVersion }))).toEqual([
      { gateway: 'gw-1', tableVersion: 1 },
      { gateway: 'gw-2', tableVersion: 1 },
    ]);
    expect(gateways[0]?.servers.map(({ name, inFlight }) => ({ name, inFlight }))).toEqual([
      { name: 'l1', inFlight: 3 },
      { name: 'r1', inFlight: 0 },
    ]);
  });

  it('can be asked of more servers than an address has room for', async () => {
    await using dir = await makeStateDir();
    const gateway = await startStubGateway('gw-1');
    await using controller = await startController({ stateDir: dir.path });
    const names = Array.from({ length: 3_000 }, (_, index) => `server-${index}`);
    const servers = names.map((name) => ({ name, cluster: 'main', url: `http://${name}:8080` }));
    await controller.client.adopt(service, { ...definitionWith([gateway.address]), servers });
    await controller.client.publish(service);
    const { gateways } = await controller.client.load(service, names);
    expect(gateways[0]?.servers.map(({ name }) => name)).toEqual(names);
    await gateway.stop();
  });

  it('is not known while a gateway does not answer: no data is never zero (invariant 2)', async () => {
    await using up = await startPair();
    await up.two.stop();
    const load = up.client.load(service, ['l1']);
    await expect(load).rejects.toMatchObject({
      code: 'GatewayUnreachable',
      details: { gateways: [{ gateway: 'gw-2' }] },
    });
    await expect(load).rejects.toThrow(/gw-2/);
  });

  it('is not known while a gateway has no routes to that server', async () => {
    await using up = await startPair();
    const { active } = await up.client.status(service);
    up.two.table = { ...active, servers: active.servers.filter(({ name }) => name !== 'l1') };
    await expect(up.client.load(service, ['l1'])).rejects.toMatchObject({ code: 'GatewayUnreachable' });
  });

  it('cannot be asked of a server that the routes do not know', async () => {
    await using up = await startPair();
    await expect(up.client.load(service, ['nope'])).rejects.toMatchObject({ code: 'InvalidRequest' });
    await expect(up.client.load(service, [])).rejects.toMatchObject({ code: 'InvalidRequest' });
  });
});

describe('metrics for Prometheus', () => {
  it('are the totals, and what the routes are', async () => {
    await using up = await startPair();
    up.one.inFlight = { b1: 2 };
    up.one.counts = [
      countOf({
        requests: 8,
        succeeded: 5,
        failed: 1,
        allocated: 6,
        volumeCount: 4,
        volumeAmount: 12.5,
        latency: [4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
        latencySumMs: 2500,
      }),
    ];
    up.two.counts = [countOf({ requests: 1, succeeded: 1 })];
    await up.requests();
    const scrape = async () => (await request(`${up.url}/metrics`)).body.text();
    await scrape();
    const text = await scrape();
    const row = 'service="shop",release="1.4",cluster="base",server="b1",bucket="main"';
    expect(text).toContain('# TYPE changeover_requests_total counter');
    expect(text).toContain(`changeover_requests_total{${row},outcome="succeeded"} 6`);
    expect(text).toContain(`changeover_requests_total{${row},outcome="failed"} 1`);
    expect(text).toContain(`changeover_allocated_total{${row}} 6`);
    expect(text).toContain(`changeover_volume_total{${row}} 4`);
    expect(text).toContain(`changeover_volume_amount_total{${row}} 12.5`);
    expect(text).toContain('# TYPE changeover_request_duration_seconds histogram');
    expect(text).toContain(`changeover_request_duration_seconds_bucket{${row},le="0.005"} 4`);
    expect(text).toContain(`changeover_request_duration_seconds_bucket{${row},le="0.25"} 5`);
    expect(text).toContain(`changeover_request_duration_seconds_bucket{${row},le="+Inf"} 6`);
    expect(text).toContain(`changeover_request_duration_seconds_sum{${row}} 2.5`);
    expect(text).toContain('changeover_in_flight{service="shop",gateway="gw-1",server="b1"} 2');
    expect(text).toContain('changeover_route_table_version{service="shop"} 1');
    expect(text).toContain('changeover_gateway_acknowledged_version{service="shop",gateway="gw-2"} 1');
    expect(text).toContain('changeover_lock_held{service="shop"} 0');
  });

  it('leave out what is in flight at a gateway that does not answer', async () => {
    await using up = await startPair();
    await up.two.stop();
    await vi.waitFor(async () => {
      const text = await (await request(`${up.url}/metrics`)).body.text();
      expect(text).toContain('changeover_in_flight{service="shop",gateway="gw-1"');
      expect(text).not.toContain('changeover_in_flight{service="shop",gateway="gw-2"');
    }, eventually);
  });
});
