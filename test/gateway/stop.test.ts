import { request } from 'undici';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createGateway } from '../../src/gateway/gateway.ts';
import { GatewayFixture, SERVICE, sum, tableOf, until } from './support/gateway-fixture.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const unreachable = 'http://127.0.0.1:1';

describe('a gateway that is stopped', () => {
  it('finishes what is in flight, asks clients to leave, and tells its numbers until the end', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const one = await new UpstreamServer(
      'one',
      (_req, res) => void held.then(() => answer(res, 200, 'one')),
    ).listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), {
      upstreams: [one],
      config: { shutdownGraceMs: 10_000 },
    });
    const url = fixture.url;
    const under = request(url);
    await until(async () => (await fixture.load('one')).inFlight === 1);
    const closed = fixture.gateway.close();
    await until(() => fixture.gateway.trafficUrl === null);
    await expect(request(url)).rejects.toThrow();
    expect((await fixture.load('one')).inFlight).toBe(1);
    expect((await request(`${fixture.gateway.adminUrl}/health`)).statusCode).toBe(503);
    release();
    const response = await under;
    expect(response.headers['connection']).toBe('close');
    expect(await response.body.text()).toBe('one');
    await closed;
    expect(fixture.gateway.adminUrl).toBeNull();
  });

  it('cuts what is still under way when the grace is over', async () => {
    const one = await new UpstreamServer('one', () => undefined).listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), {
      upstreams: [one],
      config: { shutdownGraceMs: 50 },
    });
    const under = request(fixture.url).then(
      () => 'answered',
      () => 'cut',
    );
    await until(async () => (await fixture.load('one')).inFlight === 1);
    await fixture.gateway.close();
    expect(await under).toBe('cut');
  });

  it('tells its final numbers once more, for the controller that reads every now and then', async () => {
    const one = await new UpstreamServer('one').listen();
    await using fixture = await GatewayFixture.start(tableOf([one]), {
      upstreams: [one],
      config: { controllerUrl: unreachable, lastCallMs: 0, lastReadMs: 2 ** 30 },
    });
    await (await request(fixture.url)).body.dump();
    const { adminUrl } = fixture.gateway;
    const closed = fixture.gateway.close();
    // Prometheus adds nothing up: it may come as often as it likes, the gateway goes on waiting.
    for (let i = 0; i < 50; i += 1) await (await request(`${adminUrl}/metrics`)).body.dump();
    expect(sum(await fixture.counts(), 'succeeded')).toBe(1);
    await closed;
    expect(fixture.gateway.adminUrl).toBeNull();
  });

  it('does not wait for a reader where nothing was counted, or where there is no controller', async () => {
    const one = await new UpstreamServer('one').listen();
    await using idle = await GatewayFixture.start(tableOf([one]), {
      config: { controllerUrl: unreachable, lastReadMs: 2 ** 30 },
    });
    await idle.gateway.close();
    await using alone = await GatewayFixture.start(tableOf([one]), {
      upstreams: [one],
      config: { lastReadMs: 2 ** 30 },
    });
    await (await request(alone.url)).body.dump();
    await alone.gateway.close();
  });

  it('closes though it never started', async () => {
    const gateway = createGateway(
      { name: 'gw', service: SERVICE, listen: { port: 0 }, admin: { port: 0 }, stateDir: '/nowhere' },
      { logger: pino({ level: 'silent' }) },
    );
    await gateway.close();
    await gateway.close();
  });
});
