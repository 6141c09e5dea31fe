import { Agent, request } from 'undici';
import { describe, expect, it } from 'vitest';
import { serverOf, sum, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const TRANSACTIONS = { id: { from: 'header', name: 'x-transaction' } } as const;
const RELOADS = 3;
const CLIENTS = 6;

describe('Transactions and reloads of HAProxy', () => {
  it(
    'every step of every transaction gets its server, begun before, during or after a reload, while servers drain (invariant 5)',
    { timeout: 60_000 },
    async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const [one, two] = await Promise.all([
        new UpstreamServer('one').listen(),
        new UpstreamServer('two').listen(),
      ]);
      for (const server of [one, two]) server.handler = (_req, res) => answer(res, 200, server.name);
      const plan = planFor([one, two], { traffic: { transactions: { ...TRANSACTIONS, idle: '60s' } } });
      await using fixture = await HaproxyFixture.start(plan, { upstreams: [one, two] });
      const table = tableOf([one, two], {
        transactions: plan.traffic.transactions ?? null,
        measure: plan.measure,
      });
      await fixture.admin.publish(table, {});
      await fixture.handsOn();

      const homes = new Map<string, string>();
      const strayed: string[] = [];
      let sent = 0;
      const step = async (id: string, dispatcher: Agent): Promise<void> => {
        const response = await request(fixture.url, { headers: { 'x-transaction': id }, dispatcher });
        const name = await response.body.text();
        sent += 1;
        const home = homes.get(id) ?? name;
        homes.set(id, home);
        if (name !== home || response.statusCode !== 200) strayed.push(`${id}: ${home}, then ${name}`);
      };
      const ended = new AbortController();
      // Half of the clients keep their connection, through which the old process is asked once more after a reload.
      const client = async (number: number): Promise<void> => {
        let agent = new Agent({ connections: 1 });
        for (let round = 0; !ended.signal.aborted; round += 1) {
          await step(`${number}-${round % 40}`, agent);
          if (round % 9 === 0) await step(`${number}-${round}-new`, agent);
          if (number % 2 === 0) continue;
          await agent.close();
          agent = new Agent({ connections: 1 });
        }
        await agent.close();
      };
      const idle = new Agent({ connections: 1 });
      await step('idle', idle);
      const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
      for (let reload = 0; reload < RELOADS; reload += 1) {
        const drains = reload % 2 === 0 ? one : two;
        await fixture.reloaded();
        await fixture.admin.publish(
          {
            ...table,
            version: reload + 2,
            servers: [one, two].map((server) =>
              serverOf(server, { ingress: server === drains ? 'draining' : 'open' }),
            ),
          },
          {},
        );
        const before = sent;
        await until(() => sent > before + 400, 'each transaction had a step');
      }
      ended.abort();
      await Promise.all(clients);
      await step('idle', idle);
      await idle.close();
      expect(strayed).toEqual([]);
      expect(new Set(homes.values())).toEqual(new Set(['one', 'two']));
      // What one process passed on to the next was counted once.
      expect(sum((await fixture.admin.stats({})).counts, 'requests')).toBe(sent);
      const forwarded = [...one.requests, ...two.requests].map(({ headers }) => headers['x-forwarded-for']);
      expect(new Set(forwarded)).toEqual(new Set(['127.0.0.1']));
    },
  );
});
