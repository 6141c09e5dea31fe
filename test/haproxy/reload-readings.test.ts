import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { describe, expect, it } from 'vitest';
import { serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const TRANSACTIONS = { id: { from: 'header', name: 'x-transaction' }, idle: '60s' } as const;

/** Two servers of one release; `/held` is answered when `release` is called. */
async function shop({ transactions = true } = {}) {
  const [one, two] = await Promise.all(['one', 'two'].map((name) => new UpstreamServer(name).listen()));
  if (one === undefined || two === undefined) throw new Error('no servers');
  const held: (() => void)[] = [];
  for (const server of [one, two])
    server.handler = (req, res) => {
      const give = (): void => answer(res, 200, server.name);
      if (req.url === '/held') held.push(give);
      else give();
    };
  const plan = planFor([one, two], transactions ? { traffic: { transactions: TRANSACTIONS } } : {});
  const fixture = await HaproxyFixture.start(plan, { upstreams: [one, two] });
  const table = tableOf([one, two], {
    transactions: plan.traffic.transactions ?? null,
    measure: plan.measure,
  });
  const draining = (name: string, version: number) => ({
    ...table,
    version,
    servers: [one, two].map((server) =>
      serverOf(server, { ingress: server.name === name ? 'draining' : 'open' }),
    ),
  });
  const agent = new Agent({ connections: 20 });
  return {
    agent,
    fixture,
    table,
    draining,
    held,
    release: () => held.splice(0).forEach((give) => give()),
    send: async (path: string, headers: Record<string, string> = {}) => {
      const { body } = await request(new URL(path, fixture.url), { headers, dispatcher: agent });
      return body.text();
    },
    [Symbol.asyncDispose]: async () => {
      if (!agent.closed && !agent.destroyed) await agent.destroy();
      await fixture[Symbol.asyncDispose]();
    },
  };
}

describe('Readings of an HAProxy that is reloaded', () => {
  it('never say that nothing is open on a server that drains while a transaction is (invariants 2 and 5)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table, draining, send } = all;
    await fixture.admin.publish(table, {});
    await fixture.handsOn();
    const id = { 'x-transaction': 't-1' };
    const home = await send('/', id);
    // More of them, so that handing them over takes its time.
    await Promise.all(Array.from({ length: 500 }, (_, i) => send('/', { 'x-transaction': `other-${i}` })));
    await fixture.admin.publish(draining(home, 2), {});
    const seen: number[] = [];
    for (let reload = 0; reload < 2; reload += 1) {
      const before = await fixture.process();
      const reloading = fixture.haproxy.reload();
      let after = 30;
      await until(async () => {
        const { servers } = await fixture.admin.stats({});
        seen.push(servers.find(({ name }) => name === home)?.transactions ?? 0);
        if ((await fixture.process()) !== before) after -= 1;
        return after <= 0;
      }, 'the new process was read');
      await reloading;
    }
    expect(seen.filter((count) => count === 0)).toEqual([]);
    expect(await send('/', id)).toBe(home);
  });

  it('by a companion that is new, with nothing on its disk, do not call a server idle that an old process still asks (invariant 2)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop({ transactions: false });
    const { agent, fixture, table, draining, held, release, send } = all;
    await fixture.admin.publish(table, {});
    const slow = send('/held');
    await until(() => held.length === 1, 'a request is under way');
    await fixture.reloaded();
    await fixture.companion.close();
    await rm(join(fixture.folder, 'state'), { recursive: true });
    await fixture.startCompanion();
    await fixture.admin.publish(draining('one', 2), {});
    const inFlight = async (): Promise<Record<string, number>> => {
      const { servers } = await fixture.admin.stats({});
      return Object.fromEntries(servers.map((server) => [server.name, server.inFlight]));
    };
    // Of which server it is nobody knows any more: of one that is open, nobody waits for it.
    for (let i = 0; i < 5; i += 1) expect(await inFlight()).toEqual({ one: 1, two: 0 });
    release();
    await slow;
    await agent.close();
    await until(async () => (await inFlight())['one'] === 0, 'the old process has ended');
  });
});
