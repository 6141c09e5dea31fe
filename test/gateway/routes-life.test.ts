import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { GatewayFixture, tableOf, until } from './support/gateway-fixture.ts';
import { StubController } from './support/stub-controller.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const unreachable = 'http://127.0.0.1:1';

describe('route tables', () => {
  it('are pulled at the start, before any traffic, and again when they change; each is acknowledged', async () => {
    const one = await new UpstreamServer('one').listen();
    await using controller = await new StubController(tableOf([one], { version: 4 })).listen();
    await using fixture = await GatewayFixture.start(null, {
      upstreams: [one],
      config: { controllerUrl: controller.url },
    });
    expect((await fixture.admin.executing({})).version).toBe(4);
    expect((await request(fixture.url)).statusCode).toBe(200);
    controller.activate(tableOf([one], { version: 5 }));
    await until(() => controller.acknowledged.includes(5));
    expect((await fixture.admin.executing({})).version).toBe(5);
    expect(controller.acknowledged).toEqual([4, 5]);
  });

  it('survive a restart while the controller is away (invariant 4)', async () => {
    const one = await new UpstreamServer('one').listen();
    await using first = await GatewayFixture.start(tableOf([one], { version: 9 }), { upstreams: [one] });
    await first.gateway.close();
    await using again = await GatewayFixture.start(null, {
      folder: first.folder,
      config: { controllerUrl: unreachable },
    });
    expect((await again.admin.executing({})).version).toBe(9);
    expect((await request(again.url)).statusCode).toBe(200);
    expect((await again.admin.publish(tableOf([one], { version: 8 }), {})).version).toBe(9);
  });

  it('of a restarted gateway are the latest before it takes traffic', async () => {
    const one = await new UpstreamServer('one').listen();
    const two = await new UpstreamServer('two').listen();
    await using first = await GatewayFixture.start(tableOf([one], { version: 9 }), { upstreams: [one, two] });
    await first.gateway.close();
    await using controller = await new StubController(tableOf([two], { version: 12 })).listen();
    await using again = await GatewayFixture.start(null, {
      folder: first.folder,
      config: { controllerUrl: controller.url },
    });
    expect(await (await request(again.url)).body.text()).toBe('two');
    expect(one.requests).toHaveLength(0);
  });

  it('of a controller that lost some are not taken (invariant 4)', async () => {
    const one = await new UpstreamServer('one').listen();
    await using first = await GatewayFixture.start(tableOf([one], { version: 9 }), { upstreams: [one] });
    await first.gateway.close();
    await using controller = await new StubController(tableOf([one], { version: 3 })).listen();
    await using again = await GatewayFixture.start(null, {
      folder: first.folder,
      config: { controllerUrl: controller.url },
    });
    expect((await again.admin.executing({})).version).toBe(9);
    expect(controller.acknowledged).toEqual([]);
  });

  it('are waited for where there are none: the traffic port is shut, and health says so', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(null, {
      upstreams: [one],
      config: { controllerUrl: unreachable },
    });
    expect(fixture.gateway.trafficUrl).toBeNull();
    const health = async (): Promise<number> =>
      (await request(`${fixture.gateway.adminUrl}/health`)).statusCode;
    expect(await health()).toBe(503);
    await fixture.admin.publish(tableOf([one]), {});
    await until(async () => (await health()) === 200);
    expect((await request(fixture.url)).statusCode).toBe(200);
  });

  it('are on disk before they are acknowledged', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one] });
    for (let version = 2; version < 10; version += 1) {
      await fixture.admin.publish(tableOf([one], { version }), {});
      const stored = JSON.parse(await readFile(join(fixture.folder, 'routes.json'), 'utf8')) as RouteTable;
      expect(stored.version).toBe(version);
    }
  });

  it('that are broken on disk are left alone, and the controller is asked', async () => {
    const one = await new UpstreamServer('one').listen();
    await using first = await GatewayFixture.start(tableOf([one], { version: 2 }), { upstreams: [one] });
    await first.gateway.close();
    await writeFile(join(first.folder, 'routes.json'), '{"service":');
    await using controller = await new StubController(tableOf([one], { version: 3 })).listen();
    await using again = await GatewayFixture.start(null, {
      folder: first.folder,
      config: { controllerUrl: controller.url },
    });
    expect((await again.admin.executing({})).version).toBe(3);
  });
});

describe('the admin API', () => {
  it('asks for its token, health and metrics excepted', async () => {
    await using fixture = await GatewayFixture.start(null, { config: { adminToken: 's3cret' } });
    const status = async (path: string, authorization?: string): Promise<number> => {
      const headers = authorization === undefined ? {} : { authorization };
      const response = await request(`${fixture.gateway.adminUrl}${path}`, { headers });
      await response.body.dump();
      return response.statusCode;
    };
    expect(await status('/v1/stats')).toBe(401);
    expect(await status('/v1/stats', 'Bearer wrong')).toBe(401);
    expect(await status('/v1/stats', 'Bearer s3cret')).toBe(200);
    expect(await status('/health')).toBe(503);
    expect(await status('/metrics')).toBe(200);
  });

  it('answers errors in the common form, naming the wrong field', async () => {
    await using fixture = await GatewayFixture.start(null);
    const missing = await request(`${fixture.gateway.adminUrl}/nothing`);
    expect(await missing.body.json()).toMatchObject({ error: { code: 'NotFound' } });
    const wrong = await request(`${fixture.gateway.adminUrl}/v1/routes`, {
      method: 'PUT',
      body: JSON.stringify({ ...tableOf([]), version: 'x' }),
    });
    expect(wrong.statusCode).toBe(400);
    expect(await wrong.body.json()).toMatchObject({ error: { message: expect.stringContaining('version') } });
  });

  it('is not on the traffic port', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one] });
    expect(await (await request(`${fixture.url}/v1/stats`)).body.text()).toBe('one');
  });

  it('gives Prometheus what it counted', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), { upstreams: [one] });
    await (await request(fixture.url)).body.dump();
    const metrics = await (await request(`${fixture.gateway.adminUrl}/metrics`)).body.text();
    const labels = 'release="1.0",cluster="main",server="one",bucket="main"';
    expect(metrics).toContain(`changeover_gateway_requests_total{${labels}} 1\n`);
    expect(metrics).toContain(`changeover_gateway_outcomes_total{${labels},outcome="succeeded"} 1\n`);
    expect(metrics).toContain(`changeover_gateway_latency_seconds_bucket{${labels},le="+Inf"} 1\n`);
    expect(metrics).toContain('changeover_gateway_table_version 1\n');
  });
});

describe('a gateway whose traffic port is taken', () => {
  it('opens it as soon as whoever held it is gone', async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    const { port } = holder.address() as AddressInfo;
    await using upstream = await new UpstreamServer('one', (_req, res) =>
      answer(res, 200, 'served'),
    ).listen();
    await using fixture = await GatewayFixture.start(null, {
      config: { listen: { host: '127.0.0.1', port } },
    });
    await fixture.admin.publish(tableOf([upstream]), {});
    expect(fixture.gateway.trafficUrl).toBe(null);
    await new Promise((resolve) => holder.close(resolve));
    await until(() => fixture.gateway.trafficUrl !== null, 'the traffic port opens');
    expect(await (await fetch(fixture.url)).text()).toBe('served');
  });
});
