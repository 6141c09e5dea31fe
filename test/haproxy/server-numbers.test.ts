import { join } from 'node:path';
import { pino } from 'pino';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/domain/plan/schema.ts';
import { COUNT_KEY, HOME_BASE, serversOf } from '../../src/haproxy/layout.ts';
import { serverNumbers } from '../../src/haproxy/server-numbers.ts';
import { syncFiles } from '../../src/haproxy/sync.ts';
import { serverOf, SERVICE, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const MANY = Array.from({ length: 5_000 }, (_, index) => `web-${index}`);

/** Two names that have the same hash. */
function alike(): [string, string] {
  const byNumber = new Map<number, string>();
  for (const name of MANY) {
    const number = serverNumbers([name]).get(name) ?? 0;
    const other = byNumber.get(number);
    if (other !== undefined) return [other, name];
    byNumber.set(number, name);
  }
  throw new Error('none of these names have the same hash');
}

describe('HAProxy’s numbers of servers', () => {
  it('are one for each server, whatever the order, and fit into keys of counts', () => {
    const numbers = serverNumbers(MANY);
    expect(new Set(numbers.values()).size).toBe(MANY.length);
    expect(serverNumbers(MANY.toReversed())).toEqual(numbers);
    expect(BigInt(Math.max(...numbers.values()) + 1) * BigInt(COUNT_KEY.server)).toBeLessThanOrEqual(
      2n ** 63n,
    );
  });

  it('are never what another server had, also where two have the same hash', () => {
    const [one, two] = alike();
    const alone = [one, two].map((name) => serverNumbers([name]).get(name));
    const together = serverNumbers([two, one]);
    expect(together).toEqual(serverNumbers([one, two]));
    expect(new Set([...alone, ...together.values()]).size).toBe(3);
  });

  it('are no positions in a plan, which earlier releases gave', () => {
    expect(Math.min(...serverNumbers(MANY).values())).toBeGreaterThanOrEqual(2 ** 16);
  });
});

const RELEASES = ['1.0', '2.0-a', '2.0-b'];
const TRANSACTIONS = ['t-0', 't-1', 't-2', 't-3', 't-4', 't-5'];

/** A trial of three releases with transactions, and what becomes of them. */
async function trial(edit?: (config: string, plan: Plan) => string) {
  const servers = await Promise.all(['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()));
  for (const server of servers) server.handler = (_req, res) => answer(res, 200, server.name);
  const plan = planFor(servers, {
    traffic: { transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '60s' } },
  });
  const fixture = await HaproxyFixture.start(plan, {
    upstreams: servers,
    edit: (config) => edit?.(config, plan) ?? config,
  });
  const { key, policy } = plan.traffic;
  const split = { key, policy, baseline: '1.0', withoutKey: '1.0', share: 1, salt: 's', pulled: [] };
  await fixture.admin.publish(
    tableOf(
      servers.map((server, index) => serverOf(server, { release: RELEASES[index] ?? '' })),
      { transactions: plan.traffic.transactions ?? null, measure: plan.measure, split },
    ),
    {},
  );
  await fixture.handsOn();
  /** Where each transaction goes on; its key leads to a candidate, or there is none. */
  const steps = async ({ withKeys }: { withKeys: boolean }): Promise<string[]> =>
    Promise.all(
      TRANSACTIONS.map(async (id, index) => {
        const account = withKeys && index % 3 > 0 ? { 'x-account': `${index % 3}` } : {};
        const headers = { 'x-transaction': id, ...account };
        return (await request(fixture.url, { headers, reset: true })).body.text();
      }),
    );
  return { fixture, plan, steps, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

const BEGUN = ['one', 'two', 'three', 'one', 'two', 'three'];

describe('Transactions and a configuration that was rendered anew', () => {
  it('go on where they began though clusters and servers of the plan come in another order (invariant 5)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await trial();
    const { fixture, plan } = all;
    expect(await all.steps({ withKeys: true })).toEqual(BEGUN);
    await fixture.render({
      ...plan,
      clusters: Object.fromEntries(Object.entries(plan.clusters).toReversed()),
    });
    await fixture.reloaded();
    // Nothing but the table of transactions knows where they began.
    expect(await all.steps({ withKeys: false })).toEqual(BEGUN);
  });

  it('are not taken for those of another server where they have the numbers of an earlier release (invariant 5)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    let isEarlier = true;
    const atPositions = (config: string, plan: Plan): string => {
      const names = serversOf(plan).map(({ name }) => name);
      return config.replace(
        /( server (\S+) \S+ id) \d+/g,
        (_, start: string, name: string) => `${start} ${names.length - names.indexOf(name)}`,
      );
    };
    await using all = await trial((config, plan) => (isEarlier ? atPositions(config, plan) : config));
    const { fixture, plan } = all;
    expect(await all.steps({ withKeys: true })).toEqual(BEGUN);
    isEarlier = false;
    await fixture.render(plan);
    await fixture.reloaded();
    expect(await all.steps({ withKeys: true })).toEqual(BEGUN);
    // From then on they are known by the numbers of now.
    expect(await all.steps({ withKeys: false })).toEqual(BEGUN);
  });

  it('have their homes in what `haproxy sync` writes, by the numbers of the configuration that starts then', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await trial((config) => config.replace(/( server one \S+ id) \d+/g, '$1 1'));
    const { fixture, plan } = all;
    await fixture.companion.close();
    await fixture.haproxy.kill();
    await syncFiles(
      {
        ...{
          name: 'gw-1',
          service: SERVICE,
          filesDir: fixture.folder,
          stateDir: join(fixture.folder, 'state'),
        },
        ...{ lookupDir: undefined, controllerToken: undefined, controllerUrl: 'http://127.0.0.1:9' },
        ...{ patienceMs: 0, socket: undefined, contextFor: [], configFile: '' },
      },
      pino({ level: 'silent' }),
    );
    const routes = await fixture.routesOnDisk();
    const homes = [...routes.matchAll(/^8\d{18}(?= )/gm)].map(([key]) => Number(BigInt(key) - HOME_BASE));
    expect(new Set(homes)).toEqual(new Set(serversOf(plan).map(({ id }) => id)));
  });
});
