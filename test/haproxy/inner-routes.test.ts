import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { compileSplit } from '../../src/domain/policy/route-key.ts';
import type { RouteTable, TrafficSplit } from '../../src/domain/routes/table.ts';
import { memberValue } from '../../src/gateway/baggage.ts';
import { SERVICE, serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { ManyRoutes } from '../gateway/support/many-routes.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const [A, B] = ['2.0-a', '2.0-b'] as const;
/** Services behind this one, of every kind of policy, with their keys in all places where HAProxy finds them. */
const TRAFFIC: Readonly<Record<string, Pick<TrafficSplit, 'key' | 'policy'>>> = {
  pricing: {
    key: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: A },
        { tail: 'even', to: B },
      ],
    },
  },
  ledger: {
    key: { from: 'cookie', name: 'session' },
    policy: { kind: 'hash', salt: 'ledger', weights: { [A]: 1, [B]: 3 } },
  },
  'region-1': {
    key: { from: 'header', name: 'x-region' },
    policy: {
      kind: 'values',
      rules: [
        { values: ['north', 'n:o r%th'], to: A },
        { values: ['south'], to: B },
      ],
      otherwise: '1.0',
    },
  },
  ages: {
    key: { from: 'query', name: 'age' },
    policy: {
      kind: 'range',
      rules: [
        { from: -5, below: 30, to: A },
        { from: 30, to: B },
      ],
      otherwise: '1.0',
    },
  },
  notes: {
    key: { from: 'baggage', name: 'changeover.key' },
    policy: { kind: 'hash', salt: 'notes', weights: { [A]: 1, [B]: 1 } },
  },
};

interface Visit {
  readonly headers: Record<string, string>;
  readonly path: string;
  /** Key by service; undefined: none. */
  readonly keys: Readonly<Record<string, string | undefined>>;
}

const VISITS: readonly Visit[] = [
  ...Array.from({ length: 40 }, (_, i): Visit => {
    const account = String((i * 7_919) % 10_007);
    const region = ['north', 'south', 'n:o r%th', 'elsewhere'][i % 4] ?? '';
    return {
      headers: { 'x-account': account, cookie: `session=s${i}`, 'x-region': region },
      path: `/?age=${i - 10}`,
      keys: { pricing: account, ledger: `s${i}`, 'region-1': region, ages: String(i - 10), notes: account },
    };
  }),
  // Where their own key is not there, the services are decided for by that of the edge; and none has the last one.
  {
    headers: { 'x-account': '31' },
    path: '/',
    keys: { pricing: '31', ledger: '31', 'region-1': '31', ages: '31', notes: '31' },
  },
  { headers: {}, path: '/', keys: {} },
];

describe('HAProxy with services behind it', () => {
  it(
    'decides for them by their policies as the embedded gateway does, whatever the client says, over reloads',
    { timeout: 60_000 },
    async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const server = await new UpstreamServer('one').listen();
      const plan = planFor([server]);
      const inner = Object.entries(TRAFFIC).map(([service, traffic]) => ({ service, traffic }));
      await using routes = new ManyRoutes();
      const controllerUrl = await routes.listen();
      await using fixture = await HaproxyFixture.start(plan, { upstreams: [server], inner, controllerUrl });
      const table = tableOf([serverOf(server)]);
      await fixture.admin.publish(table, {});
      const decided = async ({ headers, path }: Visit): Promise<(string | undefined)[]> => {
        const forged = inner.map(({ service }) => `changeover.route.${service}=9.9`).join(',');
        const response = await request(`${fixture.url}${path}`, {
          headers: { ...headers, baggage: `tenant=x,${forged}` },
        });
        await response.body.dump();
        const baggage = String(server.requests.at(-1)?.headers['baggage'] ?? '');
        expect(memberValue(baggage, 'tenant')).toBe('x');
        expect(memberValue(baggage, `changeover.route.${SERVICE}`)).toBe('1.0');
        expect(baggage).not.toContain('9.9');
        return inner.map(({ service }) => memberValue(baggage, `changeover.route.${service}`));
      };
      const [first] = VISITS;
      if (first === undefined) throw new Error('no visits');
      expect(await decided(first), 'none of them is adopted yet').toEqual(inner.map(() => undefined));

      const activate = (version: number, share: number | null): RouteTable[] =>
        inner.map(({ service, traffic: { key, policy } }) => ({
          ...tableOf([], { version }),
          service,
          split:
            share === null
              ? null
              : { key, policy, withoutKey: B, baseline: '1.0', share, salt: 't', pulled: [] },
        }));
      const expected = (tables: readonly RouteTable[], { keys }: Visit): string[] =>
        tables.map(({ split, mainRelease, service }) =>
          split === null ? mainRelease : compileSplit(split)(keys[service]).release,
        );
      for (const [index, share] of [null, 1, 0.5].entries()) {
        const tables = activate(index + 1, share);
        routes.activate(tables);
        await until(
          async () =>
            (await Promise.all(inner.map(({ service }) => fixture.innerVersion(service)))).every(
              (version) => version === index + 1,
            ),
          'HAProxy knows the routes of all services',
        );
        if (index === 1) await fixture.reloaded();
        for (const visit of VISITS)
          expect({ visit, routes: await decided(visit) }).toEqual({ visit, routes: expected(tables, visit) });
      }
      // Routes that decide by another rule than HAProxy was rendered for: it says nothing, rather than something wrong.
      const other = activate(4, 1).map((each) => ({
        ...each,
        split: each.split === null ? null : { ...each.split, key: { from: 'header', name: 'x-y' } as const },
      }));
      routes.activate(other);
      await until(async () => (await decided(first)).every((release) => release === undefined));
    },
  );
});
