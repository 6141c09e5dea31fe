import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan, PlanInput } from '../../src/domain/plan/schema.ts';
import { checkConfig } from '../../src/haproxy/check-config.ts';
import { haproxyVerdict } from '../../src/haproxy/haproxy-command.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { GatewayFixture, serverOf, sum, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const SERVERS = [{ name: 'one', url: 'http://127.0.0.1:9000' }];
/** All that a header name may be made of besides letters and digits. */
const MARKS = "!#$%&'*+-.^_`|~";

interface Texts {
  readonly key: PlanInput['traffic']['key'];
  readonly transaction: { readonly from: 'header' | 'cookie'; readonly name: string };
  readonly endHeader: string;
  readonly amountHeader: string;
  readonly matchHeader: { readonly name: string; readonly value: string };
  readonly path: string;
}

function planWith(texts: Texts): Plan {
  return planFor(SERVERS, {
    traffic: {
      key: texts.key,
      transactions: { id: texts.transaction, idle: '1m', endHeader: texts.endHeader },
    },
    measure: {
      allocated: { path: texts.path },
      volume: {
        kind: 'amount',
        match: { path: `${texts.path}*`, header: texts.matchHeader },
        amountHeader: texts.amountHeader,
      },
    },
  });
}

function rendered(plan: Plan, folder = '/files'): string {
  return renderConfig(plan, { bind: ':8080', socket: join(folder, 'a.sock'), files: folder });
}

const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
const textOf = (chars: readonly string[], atLeast = 1) =>
  fc.array(fc.constantFrom(...chars), { minLength: atLeast, maxLength: 12 }).map((all) => all.join(''));
const without = (chars: string) => visible.filter((char) => !chars.includes(char));
const token = textOf([...Array.from(MARKS), 'a', 'Z', '7']);
const texts: fc.Arbitrary<Texts> = fc.record({
  key: fc.oneof(
    fc.record({ from: fc.constant('header' as const), name: token }),
    fc.record({ from: fc.constant('cookie' as const), name: token }),
    fc.record({ from: fc.constant('query' as const), name: textOf(without('=&;?#')) }),
  ),
  transaction: fc.record({ from: fc.constantFrom('header' as const, 'cookie' as const), name: token }),
  endHeader: token,
  amountHeader: token,
  matchHeader: fc.record({
    name: token,
    value: textOf([...visible, ' ', 'é'], 0).map((value) => value.trim()),
  }),
  path: textOf(without('?#*'), 0).map((rest) => `/${rest}`),
});
const PLAIN: Texts = {
  key: { from: 'header', name: 'a' },
  transaction: { from: 'header', name: 'a' },
  endHeader: 'a',
  amountHeader: 'a',
  matchHeader: { name: 'a', value: 'a' },
  path: '/a',
};
/** What the lines of a configuration begin with. */
const beginnings = (config: string): string[] =>
  config.split('\n').map((line) => /^\s*\S*\s*\S*/.exec(line)?.[0] ?? '');

/** By a path as it stands in the request, of which a URL would encode parts. */
async function bodyOf(url: string, path: string, headers: Record<string, string>): Promise<string> {
  const sent = get({ host: '127.0.0.1', port: new URL(url).port, path, headers, agent: false });
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return text;
}

describe('whatever names and values a plan may have', () => {
  it(
    'they stay within their words of the configuration, HAProxy takes it, and it lacks nothing',
    { timeout: 120_000 },
    async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const folder = await mkdtemp(join(tmpdir(), 'names-'));
      const file = join(folder, 'haproxy.cfg');
      for (const [path, content] of seedFiles(planWith(PLAIN), { files: folder }))
        await writeFile(path, content);
      try {
        await fc.assert(
          fc.asyncProperty(texts, async (some) => {
            const plan = planWith(some);
            const config = rendered(plan, folder);
            expect(beginnings(config)).toEqual(beginnings(rendered(planWith(PLAIN), folder)));
            await writeFile(file, config);
            expect(await haproxyVerdict(HAPROXY ?? '', file)).toMatchObject({ ok: true });
            expect(checkConfig(config, plan)).toEqual([]);
          }),
          { numRuns: 40, seed: 8 },
        );
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );

  const NAME = `x${MARKS}`;
  const CASES: readonly [what: string, key: PlanInput['traffic']['key'], value: string][] = [
    ['header', { from: 'header', name: NAME }, '}'],
    ['cookie', { from: 'cookie', name: NAME }, `-i "a" 'b' {é}`],
    ['query', { from: 'query', name: `a,b('"c")[\\]{}|$x%20` }, ''],
  ];
  it.for(CASES)(
    'both kinds of gateway find by them what they name: %s',
    { timeout: 60_000 },
    async ([, key, value], test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const servers = await Promise.all(
        ['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()),
      );
      const octets = Buffer.from(value, 'utf8').toString('latin1');
      for (const server of servers)
        server.handler = (req, res) => {
          res.setHeader(NAME, req.headers['x-other'] === undefined ? octets : 'other');
          res.setHeader('x-amount', '2.5');
          // Before a body that is text Node would write the octets of the fields in UTF-8 once more.
          res.end(Buffer.from(server.name));
        };
      const plan = planFor(servers, {
        traffic: { key },
        measure: {
          allocated: {},
          volume: {
            kind: 'amount',
            match: { path: `/b"u'y{}$|`, header: { name: NAME, value } },
            amountHeader: 'x-amount',
          },
        },
      });
      await using haproxy = await HaproxyFixture.start(plan, { upstreams: servers });
      const releases = ['1.0', '2.0-a', '2.0-b'];
      const table = tableOf(
        servers.map((server, index) => serverOf(server, { release: releases[index] ?? '' })),
        {
          measure: plan.measure,
          split: {
            key: plan.traffic.key,
            policy: plan.traffic.policy,
            baseline: '1.0',
            withoutKey: '1.0',
            share: 1,
            salt: 's',
            pulled: [],
          },
        },
      );
      await haproxy.admin.publish(table, {});
      await using embedded = await GatewayFixture.start(table);
      for (const { url, admin } of [haproxy, embedded]) {
        const ask = async (account: string, headers: Record<string, string> = {}): Promise<string> => {
          const name = key.from === 'path' || key.from === 'baggage' ? '' : key.name;
          const query = key.from === 'query' ? `?${name}=${account}` : '';
          if (key.from === 'header') headers[name] = account;
          if (key.from === 'cookie') headers['cookie'] = `${name}=${account}`;
          return bodyOf(url, `/b"u'y{}$|${query}`, headers);
        };
        expect([await ask('1'), await ask('2'), await ask('3', { 'x-other': '1' })]).toEqual([
          'two',
          'three',
          'two',
        ]);
        const { counts } = await admin.stats({});
        expect([sum(counts, 'volumeCount'), sum(counts, 'volumeAmount')]).toEqual([2, 5]);
      }
    },
  );
});
