import { request } from 'undici';
import { expect, it } from 'vitest';
import type { Ingress, RouteTable } from '../../src/domain/routes/table.ts';
import { renderConfig } from '../../src/haproxy/render.ts';
import { FEW_SERVERS } from '../../src/haproxy/runtime-changes.ts';
import { requireComponent } from '../support/require-component.ts';
import { SERVICE, serverOf, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';

it('knows the transactions of each of many draining servers, and cuts those of closed ones (invariants 2 and 5)', async (test) => {
  requireComponent('HAProxy', HAPROXY !== null, test);
  const names = Array.from({ length: FEW_SERVERS + 3 }, (_, index) => `server-${index}`);
  const servers = await Promise.all(names.map((name) => new UpstreamServer(name).listen()));
  const transactions = { id: { from: 'header', name: 'x-transaction' } } as const;
  const plan = planFor(servers, { traffic: { transactions: { ...transactions, idle: '30s' } } });
  await using fixture = await HaproxyFixture.start(plan, { upstreams: servers });
  const all = tableOf(servers, { transactions: plan.traffic.transactions ?? null, measure: plan.measure });
  const routes = (version: number, ingress: Ingress) => ({
    ...all,
    version,
    servers: all.servers.map((server, index) => (index === 0 ? server : { ...server, ingress })),
  });
  const open = async () =>
    new Map((await fixture.admin.stats({})).servers.map(({ name, transactions: count }) => [name, count]));

  await fixture.admin.publish(routes(1, 'open'), {});
  const homes = new Map<string, number>();
  for (let number = 0; number < 3 * names.length; number += 1) {
    const { body } = await request(fixture.url, { headers: { 'x-transaction': `t ${number};` } });
    const home = await body.text();
    homes.set(home, (homes.get(home) ?? 0) + 1);
  }
  homes.delete('server-0');
  expect(homes.size).toBeGreaterThan(0);

  await fixture.admin.publish(routes(2, 'draining'), {});
  const draining = await open();
  for (const name of names.slice(1)) expect(draining.get(name)).toBe(homes.get(name) ?? 0);

  await fixture.admin.publish(routes(3, 'closed'), {});
  await fixture.admin.publish(routes(4, 'draining'), {});
  const afterwards = await open();
  for (const name of names.slice(1)) expect(afterwards.get(name)).toBe(0);
});

const STATES = { open: 'ready', draining: 'drain', closed: 'maint' } as const;

it.for([
  ['with its script', (config: string) => config, /^There is no server nobody\/none/],
  ['without it', (config: string) => config.replace(/^ *lua-load .*$/m, ''), /^Unknown command/],
] as const)(
  'takes hundreds of servers out of traffic and back, %s (invariants 1 and 2)',
  async ([, edit, answer], test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using upstream = await new UpstreamServer('all').listen();
    const { port } = new URL(upstream.url);
    const servers = Array.from({ length: 501 }, (_, index) => {
      return { name: `server-${index}`, url: `http://127.1.${index >> 8}.${index & 255}:${port}` };
    });
    await using fixture = await HaproxyFixture.start(planFor(servers), { edit });
    expect(await fixture.command('changeover states nobody ready none')).toMatch(answer);
    const all = tableOf(servers.map((server) => serverOf(server)));
    for (const [index, ingress] of (['open', 'draining', 'closed', 'open'] as const).entries()) {
      const table: RouteTable = {
        ...all,
        version: index + 1,
        servers: all.servers.map((server, at) => (at === 300 ? server : { ...server, ingress })),
      };
      await fixture.admin.publish(table, {});
      const states = [...(await fixture.states())].filter(([, state]) => state !== 'maint');
      const wanted = table.servers.filter((server) => server.ingress !== 'closed');
      expect(new Map(states)).toEqual(
        new Map(wanted.map((server) => [`${SERVICE}_1/${server.name}`, STATES[server.ingress]])),
      );
    }
  },
);

it('opens a server again that somebody put into maintenance (invariant 3)', async (test) => {
  requireComponent('HAProxy', HAPROXY !== null, test);
  const servers = await Promise.all(['one', 'two'].map((name) => new UpstreamServer(name).listen()));
  await using fixture = await HaproxyFixture.start(planFor(servers), { upstreams: servers });
  await fixture.admin.publish({ ...tableOf(servers), version: 1 }, {});
  await fixture.command(`set server ${SERVICE}_1/one state maint`);
  await fixture.admin.publish({ ...tableOf(servers), version: 2 }, {});
  expect((await fixture.states()).get(`${SERVICE}_1/one`)).toBe('ready');
});

it('looks at thousands of servers less often than once a second, and again at once where something fails', () => {
  const checks = (count: number): string => {
    const servers = Array.from({ length: count }, (_, index) => {
      return { name: `server-${index}`, url: `http://10.0.${index >> 8}.${index & 255}` };
    });
    const options = { bind: ':8080', socket: '/run/haproxy/admin.sock', files: '/var/lib/changeover' };
    return / server .* (check .*)$/m.exec(renderConfig(planFor(servers), options))?.[1] ?? '';
  };
  expect(checks(900)).toBe('check inter 1s fall 2 rise 1');
  expect(checks(5_000)).toBe('check inter 5s fastinter 1s fall 2 rise 1 observe layer4 error-limit 1');
});
