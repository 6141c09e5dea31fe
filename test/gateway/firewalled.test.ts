import { describe, expect, it } from 'vitest';
import { request } from 'undici';
import { makeStateDir, startController } from '../controller/running-controller.ts';
import { GatewayFixture, SERVICE, until } from './support/gateway-fixture.ts';
import { UpstreamServer } from './support/upstream-server.ts';

/** Nobody listens here: what the controller finds instead of an admin API behind a firewall. */
const UNREACHABLE = 'http://127.0.0.1:1';
const gateways = [{ name: 'gw-1', kind: 'embedded', admin: UNREACHABLE }] as const;

/** A controller and a sidecar whose admin API it cannot reach, with a server that holds its answers back. */
async function firewalled() {
  const state = await makeStateDir();
  const controller = await startController({ stateDir: state.path });
  const { client } = controller;
  const held: (() => void)[] = [];
  const one = await new UpstreamServer('one', (_request, response) => {
    held.push(() => response.end('one'));
  }).listen();
  const two = await new UpstreamServer('two').listen();
  await client.adopt(SERVICE, {
    release: '1.0',
    servers: [one, two].map(({ name, url }) => ({ name, cluster: name, url })),
    gateways: [...gateways],
    measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slowMs: 1_000 },
    transactions: null,
  });
  const fixture = await GatewayFixture.start(null, {
    upstreams: [one, two],
    config: { role: 'sidecar', controllerUrl: controller.url },
  });
  const { fence } = await client.acquire(SERVICE, { upgradeId: 'u', gateways: [...gateways] });
  return {
    ...{ client, fixture, one, held, fence, controller },
    async [Symbol.asyncDispose]() {
      await fixture[Symbol.asyncDispose]();
      await controller.close();
      await state[Symbol.asyncDispose]();
    },
  };
}

describe('a gateway that the controller cannot reach', () => {
  it('gets its routes by pulling, and acknowledges them', async () => {
    await using world = await firewalled();
    const { client, fence } = world;
    const { version } = await client.activate(SERVICE, {
      fence,
      step: 1,
      transitions: [{ kind: 'close', servers: ['one'] }],
    });
    await until(async () =>
      (await client.publish(SERVICE)).gateways.every((one) => one.acknowledged >= version),
    );
    expect((await client.status(SERVICE)).gateways).toMatchObject([{ acknowledged: version, problem: null }]);
  });

  it('tells what is in flight and what it counted, by the active routes only (invariant 2)', async () => {
    await using world = await firewalled();
    const { client, fixture, fence, one, held } = world;
    const answered = request(fixture.url);
    const other = request(fixture.url);
    await until(() => one.requests.length === 1);
    const load = async (): Promise<number | undefined> => {
      const { gateways: all } = await client.load(SERVICE, ['one']);
      return all[0]?.servers[0]?.inFlight;
    };
    await until(async () => (await load().catch(() => undefined)) === 1, 'the gateway to report');
    await client.activate(SERVICE, { fence, step: 1, transitions: [{ kind: 'close', servers: ['one'] }] });
    // By an older table it may send something there yet: a report of it would say too little.
    const atOnce = await load().catch((error: unknown) => error);
    if (atOnce !== 1) expect(atOnce).toMatchObject({ code: 'GatewayUnreachable' });
    await until(async () => (await load().catch(() => undefined)) === 1, 'a report by the new routes');
    held.forEach((answer) => answer());
    for (const response of [await answered, await other]) await response.body.text();
    await until(async () => (await load().catch(() => undefined)) === 0);
    const traffic = await client.traffic(SERVICE);
    expect(traffic.unread).toEqual([]);
    expect(traffic.counts.reduce((sum, { requests }) => sum + requests, 0)).toBe(2);
    const metrics = await (await request(`${world.controller.url}/metrics`)).body.text();
    expect(metrics).toContain(
      `changeover_context_total{service="${SERVICE}",gateway="gw-1",what="missing"} 2\n`,
    );

    const stats = await fixture.admin.stats({});
    const ofAnother = await request(`${world.controller.url}/v1/services/${SERVICE}/gateways/gw-9/stats`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(stats),
    });
    expect(ofAnother.statusCode).toBe(404);
    expect(await ofAnother.body.text()).toContain('add it to the plan');
  });
});
