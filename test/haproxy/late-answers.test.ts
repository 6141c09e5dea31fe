import { chmod, mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { haproxyUser } from '../gateway/support/haproxy-user.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

/** Each of them would find its server again by chance once in two times. */
const TRANSACTIONS = 14;

/** Who is shut into a folder reaches no socket outside of it. */
async function shutIn(test: Pick<TestContext, 'skip'>): Promise<{ user: string; chroot: string }> {
  if ((await haproxyUser()) === null) test.skip('needs root, and the user that packages of HAProxy create');
  const chroot = await mkdtemp(join(tmpdir(), 'chroot-'));
  onTestFinished(() => rm(chroot, { recursive: true }));
  await chmod(chroot, 0o755);
  return { user: 'haproxy', chroot };
}

const KINDS = {
  'that clients give': {
    id: { from: 'header', name: 'x-transaction' },
    // Separators of HAProxy's command line among them.
    headers: (number: number): Record<string, string> => ({ 'x-transaction': `a b;c\\d<${number}` }),
    place: () => undefined,
  },
  'that answers give': {
    id: { from: 'cookie', name: 'session' },
    headers: (_: number, given: string): Record<string, string> =>
      given === '' ? {} : { cookie: `session=${given}` },
    place: () => undefined,
  },
  'at an HAProxy that is shut in': {
    id: { from: 'header', name: 'x-transaction' },
    headers: (number: number): Record<string, string> => ({ 'x-transaction': `t${number}` }),
    place: shutIn,
  },
} as const;

describe.each(Object.entries(KINDS))('Transactions by ids %s', (_, { id, headers, place }) => {
  it(
    'go on where they began, also where their first answer came after a reload (invariant 5)',
    { timeout: 60_000 },
    async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const held: { server: string; res: ServerResponse }[] = [];
      const servers = ['one', 'two'].map(
        (name) =>
          new UpstreamServer(name, ({ url }, res) => {
            if (url === '/begin') held.push({ server: name, res });
            else answer(res, 200, name);
          }),
      );
      for (const server of servers) await server.listen();
      const plan = planFor(servers, { traffic: { transactions: { id, idle: '60s' } } });
      const own = await place(test);
      await using fixture = await HaproxyFixture.start(plan, {
        upstreams: servers,
        ...(own === undefined ? {} : { shutIn: own }),
      });
      const transactions = plan.traffic.transactions ?? null;
      await fixture.admin.publish(tableOf(servers, { transactions, measure: plan.measure }), {});

      const step = async (number: number, path: string, given = ''): Promise<[name: string, id: string]> => {
        const response = await request(`${fixture.url}${path}`, {
          headers: headers(number, given),
          reset: true,
        });
        const cookie = /session=([^;]+)/.exec(String(response.headers['set-cookie'] ?? ''))?.[1];
        return [await response.body.text(), cookie ?? given];
      };
      const twice = async (number: number): Promise<string[]> => {
        const [first, given] = await step(number, '/begin');
        const [second] = await step(number, '/go-on', given);
        return [first, second];
      };
      const all = Array.from({ length: TRANSACTIONS }, (_, number) => twice(number));
      await until(() => held.length === TRANSACTIONS, 'all first requests are under way');
      await fixture.reloaded();
      held.forEach(({ server, res }, index) => {
        answer(res, 200, server, { 'set-cookie': `session=s${index}` });
      });
      const went = await Promise.all(all);
      expect(new Set(went.map(([first]) => first))).toEqual(new Set(['one', 'two']));
      expect(went.filter(([first, second]) => first !== second)).toEqual([]);
    },
  );
});
