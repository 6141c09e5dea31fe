import { join } from 'node:path';
import { pino } from 'pino';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { memberValue } from '../../src/gateway/baggage.ts';
import type { InnerPlan } from '../../src/haproxy/inner-rules.ts';
import { syncFiles } from '../../src/haproxy/sync.ts';
import { SERVICE, serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { ManyRoutes } from '../gateway/support/many-routes.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const PRICING: InnerPlan = {
  service: 'pricing',
  traffic: {
    key: { from: 'header', name: 'x-account' },
    policy: { kind: 'hash', salt: 'pricing', weights: { '2.0-a': 1, '2.0-b': 1 } },
  },
};
const NOBODY = 'http://127.0.0.1:9';

/** Routes of pricing by which all keys meet `release`. */
function allTo(release: string, version: number): RouteTable {
  const { key } = PRICING.traffic;
  const policy = { kind: 'hash', salt: 'pricing', weights: { [release]: 1 } } as const;
  const split = { key, policy, withoutKey: release, baseline: '1.0', share: 1, salt: 't', pulled: [] };
  return { ...tableOf([], { version }), service: PRICING.service, split };
}

/** An HAProxy that decided for pricing by version 1 of its routes, all to 2.0-a, and was then killed with its companion. */
async function away() {
  const server = await new UpstreamServer('one').listen();
  const plan = planFor([server]);
  const routes = new ManyRoutes();
  const controllerUrl = await routes.listen();
  const table = tableOf([serverOf(server)], { version: 5 });
  routes.activate([table, allTo('2.0-a', 1)]);
  const inner = [PRICING];
  const fixture = await HaproxyFixture.start(plan, { upstreams: [server, routes], inner, controllerUrl });
  await fixture.admin.publish(table, {});
  await until(
    async () => (await fixture.innerVersion('pricing')) === 1,
    'HAProxy knows the routes of pricing',
  );
  await fixture.companion.close();
  await fixture.haproxy.kill();
  return {
    fixture,
    plan,
    routes,
    controllerUrl,
    sync: (url: string) =>
      syncFiles(
        {
          ...{ name: 'gw-1', service: SERVICE, controllerUrl: url, controllerToken: undefined },
          ...{ filesDir: fixture.folder, stateDir: join(fixture.folder, 'state'), lookupDir: undefined },
          ...{ socket: undefined, patienceMs: 0 },
          ...{ contextFor: ['pricing'], configFile: join(fixture.folder, 'haproxy.cfg') },
        },
        pino({ level: 'silent' }),
      ),
    /** What is decided for pricing by an HAProxy that was just started, without its companion. */
    decided: async (): Promise<string | undefined> => {
      fixture.haproxy.start();
      await fixture.waitForHaproxy();
      await (await request(fixture.url, { headers: { 'x-account': '7' } })).body.dump();
      const baggage = String(server.requests.at(-1)?.headers['baggage'] ?? '');
      expect(memberValue(baggage, `changeover.route.${SERVICE}`)).toBe('1.0');
      return memberValue(baggage, 'changeover.route.pricing');
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

describe('haproxy sync, where HAProxy decides for services behind it', () => {
  it('brings their routes that this gateway missed: nothing is decided by older ones', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away();
    all.routes.activate([allTo('2.0-b', 2)]);
    expect(await all.sync(all.controllerUrl)).toMatchObject({
      kind: 'current',
      inner: [{ service: 'pricing', version: 2, reached: true, fits: true }],
    });
    expect(await all.decided()).toBe('2.0-b');
    await all.fixture.startCompanion();
    expect(await all.fixture.innerVersion('pricing')).toBe(2);
  });

  it('leaves them as they were last where the flow controller is away, and mends the map', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away();
    await all.fixture.spoilFiles();
    expect(await all.sync(NOBODY)).toMatchObject({
      kind: 'asLeft',
      inner: [{ service: 'pricing', version: 1, reached: false, fits: true }],
    });
    expect(await all.decided()).toBe('2.0-a');
  });

  it('decides nothing by rules for other routes, and says so', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away();
    const other = { ...allTo('2.0-b', 2), split: null };
    const { split } = allTo('2.0-b', 2);
    if (split === null) throw new Error('no split');
    all.routes.activate([{ ...other, split: { ...split, key: { from: 'header', name: 'x-region' } } }]);
    expect(await all.sync(all.controllerUrl)).toMatchObject({
      kind: 'current',
      inner: [{ service: 'pricing', version: 2, reached: true, fits: false }],
    });
    expect(await all.decided()).toBeUndefined();
  });
});
