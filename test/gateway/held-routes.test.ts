import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { GatewayFixture, tableOf, until } from './support/gateway-fixture.ts';
import { StubController } from './support/stub-controller.ts';
import { UpstreamServer } from './support/upstream-server.ts';

const unreachable = 'http://127.0.0.1:1';
const during = { upgrade: 'upgrade-shop.1' } as const;

/** The folder of a gateway that executed this table and was stopped. */
async function stoppedWith(changes: Partial<RouteTable>) {
  const one = await new UpstreamServer('one').listen();
  const table = tableOf([one], { version: 9, ...changes });
  const first = await GatewayFixture.start(table, { upstreams: [one] });
  await first.gateway.close();
  return { first, one, table, folder: first.folder };
}

async function healthOf(fixture: GatewayFixture): Promise<unknown> {
  return (await request(`${fixture.gateway.adminUrl}/health`)).body.json();
}

describe('a gateway that starts with routes of an upgrade on its disk (invariant 2)', () => {
  it('serves by the stored routes without a controller where no upgrade was under way', async () => {
    const { first, folder } = await stoppedWith({});
    await using _ = first;
    await using again = await GatewayFixture.start(null, { folder, config: { controllerUrl: unreachable } });
    expect((await request(again.url)).statusCode).toBe(200);
  });

  it('keeps its traffic port shut until the controller is there, and says so', async () => {
    const { first, table, folder } = await stoppedWith(during);
    await using _ = first;
    const controller = new StubController(table);
    const port = await controller.reserve();
    await using again = await GatewayFixture.start(null, {
      folder,
      config: { controllerUrl: `http://127.0.0.1:${port}` },
    });
    expect(again.gateway.trafficUrl).toBeNull();
    expect(await healthOf(again)).toMatchObject({
      status: 'notReady',
      tableVersion: 9,
      waitsFor: 'routes from the controller',
      upgrade: during.upgrade,
    });
    // What is pushed may have been under way for long: it is executed, and not served by.
    await again.admin.publish({ ...table, version: 10 }, {});
    expect(again.gateway.trafficUrl).toBeNull();
    controller.table = { ...table, version: 11 };
    await using __ = await controller.listen(port);
    await until(() => again.gateway.trafficUrl !== null, 'the traffic port opens');
    expect((await again.admin.executing({})).version).toBe(11);
    expect(await healthOf(again)).toEqual({ status: 'ok', tableVersion: 11 });
  });

  it('opens at once where the controller confirms that its routes are the current ones', async () => {
    const { first, table, folder } = await stoppedWith(during);
    await using _ = first;
    await using controller = await new StubController(table).listen();
    await using again = await GatewayFixture.start(null, {
      folder,
      config: { controllerUrl: controller.url },
    });
    expect((await request(again.url)).statusCode).toBe(200);
  });

  it('does not begin to serve by routes that are fenced, and does by those after its acknowledgement', async () => {
    const { first, table, folder } = await stoppedWith(during);
    await using _ = first;
    await using controller = await new StubController({ ...table, version: 12, fenced: true }).listen();
    await using again = await GatewayFixture.start(null, {
      folder,
      config: { controllerUrl: controller.url },
    });
    expect(controller.acknowledged).toContain(12);
    expect(again.gateway.trafficUrl).toBeNull();
    controller.activate({ ...table, version: 13 });
    await until(() => again.gateway.trafficUrl !== null, 'the traffic port opens');
    expect((await again.admin.executing({})).version).toBe(13);
  });

  it('goes on serving where fenced routes reach it while it runs', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one] });
    await fixture.admin.publish(tableOf([one], { version: 2, ...during, fenced: true }), {});
    expect((await request(fixture.url)).statusCode).toBe(200);
  });

  it('waits for a push where it has no controller to ask', async () => {
    const { first, table, folder } = await stoppedWith(during);
    await using _ = first;
    await using again = await GatewayFixture.start(null, { folder });
    expect(again.gateway.trafficUrl).toBeNull();
    await again.admin.publish({ ...table, version: 8 }, {});
    expect(again.gateway.trafficUrl).toBeNull();
    await again.admin.publish(table, {});
    await until(() => again.gateway.trafficUrl !== null, 'the traffic port opens');
  });
});

describe('whether a table could be executed', () => {
  it('is said without executing it', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one] });
    const split: RouteTable['split'] = {
      key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
      policy: { kind: 'range', rules: [{ below: 30, to: '1.0' }] },
      withoutKey: '1.0',
      baseline: '1.0',
      share: 1,
      salt: 'x',
      pulled: [],
    };
    expect(await fixture.admin.check(tableOf([one], { version: 2 }), {})).toBeNull();
    expect(await fixture.admin.check(tableOf([one], { version: 2, split }), {})).toContain('ages.csv');
    expect((await fixture.admin.executing({})).version).toBe(1);
  });
});
