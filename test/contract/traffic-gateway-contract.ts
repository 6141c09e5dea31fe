import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import type { TrafficGateway } from '../../src/ports/traffic-gateway.ts';

/** One gateway under test, with two live servers behind it that answer 200 with their own name. */
export interface TrafficGatewayHarness extends AsyncDisposable {
  readonly gateway: TrafficGateway;
  readonly service: string;
  /** Version 1: both servers, `one` and `two`, open with the main release. Not published yet. */
  readonly table: RouteTable;
  readonly trafficUrl: () => string;
  /** An adapter of the same kind whose gateway does not exist. */
  readonly gatewayOutOfReach: TrafficGateway;
}

/** What every adapter of the port `TrafficGateway` has to do, on a real gateway. */
export function trafficGatewayContract(
  name: string,
  makeHarness: () => Promise<TrafficGatewayHarness>,
): void {
  describe(`port TrafficGateway: ${name}`, () => {
    it('executes nothing before something was published', async () => {
      await using harness = await makeHarness();
      expect((await harness.gateway.executing({})).version).toBe(0);
    });

    it('executes what was published, and reads it back', async () => {
      await using harness = await makeHarness();
      const { gateway, table } = harness;
      expect(await gateway.publish(table, {})).toMatchObject({ version: 1 });
      expect(await gateway.executing({})).toMatchObject({ version: 1 });
      expect(['one', 'two']).toContain(await bodyOf(harness.trafficUrl()));
    });

    it('never goes back to an older table (invariant 4), and says what it executes instead', async () => {
      await using harness = await makeHarness();
      const { gateway, table } = harness;
      await gateway.publish({ ...onlyOpen(table, 'two'), version: 7 }, {});
      expect(await gateway.publish({ ...onlyOpen(table, 'one'), version: 6 }, {})).toMatchObject({
        version: 7,
      });
      expect(await gateway.executing({})).toMatchObject({ version: 7 });
      expect(await bodyOf(harness.trafficUrl())).toBe('two');
    });

    it('takes the same table twice with the effect of once (invariant 9)', async () => {
      await using harness = await makeHarness();
      const { gateway, table } = harness;
      await gateway.publish(table, {});
      expect(await gateway.publish(table, {})).toMatchObject({ version: 1 });
    });

    it('sends nothing to a server from the acknowledgement on that closes it (invariant 1)', async () => {
      await using harness = await makeHarness();
      const { gateway, table } = harness;
      await gateway.publish(table, {});
      for (let version = 2; version < 12; version += 1) {
        const open = version % 2 === 0 ? 'one' : 'two';
        await gateway.publish({ ...onlyOpen(table, open), version }, {});
        const url = harness.trafficUrl();
        expect(new Set(await Promise.all(Array.from({ length: 10 }, () => bodyOf(url))))).toEqual(
          new Set([open]),
        );
      }
    });

    it('counts what it routed, per server, and names every server with its load', async () => {
      await using harness = await makeHarness();
      const { gateway, table } = harness;
      await gateway.publish(onlyOpen(table, 'one'), {});
      for (let i = 0; i < 3; i += 1) await bodyOf(harness.trafficUrl());
      const stats = await gateway.stats({});
      expect(stats).toMatchObject({ service: harness.service, tableVersion: 1 });
      expect(stats.counts).toMatchObject([{ server: 'one', release: '1.0', requests: 3, succeeded: 3 }]);
      expect(stats.servers.map((server) => [server.name, server.inFlight])).toEqual([
        ['one', 0],
        ['two', 0],
      ]);
    });

    it('refuses the table of another service', async () => {
      await using harness = await makeHarness();
      const wrong = { ...harness.table, service: 'other' };
      await expect(harness.gateway.publish(wrong, {})).rejects.toMatchObject({ code: 'InvalidRequest' });
      expect((await harness.gateway.executing({})).version).toBe(0);
    });

    it('says so when the gateway does not answer', async () => {
      await using harness = await makeHarness();
      const { gatewayOutOfReach: gone, table } = harness;
      await expect(gone.publish(table, {})).rejects.toMatchObject({ code: 'GatewayUnreachable' });
      await expect(gone.executing({})).rejects.toMatchObject({ code: 'GatewayUnreachable' });
      await expect(gone.stats({})).rejects.toMatchObject({ code: 'GatewayUnreachable' });
    });
  });
}

function onlyOpen(table: RouteTable, name: string): RouteTable {
  return {
    ...table,
    servers: table.servers.map((server) => ({
      ...server,
      ingress: server.name === name ? 'open' : 'closed',
    })),
  };
}

async function bodyOf(url: string): Promise<string> {
  const response = await request(url);
  expect(response.statusCode).toBe(200);
  return response.body.text();
}
