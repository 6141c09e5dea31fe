import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { withLeader } from '../../src/domain/policy/leader.ts';
import type { TrafficPolicy } from '../../src/domain/policy/policy.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { type CompiledRoutes, compileRoutes } from '../../src/gateway/compiled-routes.ts';
import { readRequestHead, Refusal } from '../../src/gateway/request-head.ts';
import { requireComponent } from '../support/require-component.ts';
import { tableOf } from '../gateway/support/gateway-fixture.ts';
import { DECISION_BASE, GO } from '../../src/haproxy/layout.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { CASES, GROUP_KEYS, keys } from './key-cases.ts';
import { carried, decisions, encodeOctet, requestOf } from './keyed-requests.ts';

const logger = pino({ level: 'silent' });
type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
const PER_KIND = 20_000;
const SERVERS = [
  { name: 'one', url: 'http://127.0.0.1:9' },
  { name: 'two', url: 'http://127.0.0.1:10' },
  { name: 'three', url: 'http://127.0.0.1:11' },
];

const TRAITS = { name: 'gw', trustsContext: false, writesContext: false };

/** The embedded gateway's own reading of a request and its decision, behind Node's parser as there. */
async function embedded(routes: CompiledRoutes): Promise<Server> {
  const server = createServer((req, res) => {
    const head = readRequestHead(req, routes.requestWatch, TRAITS);
    const body =
      head instanceof Refusal
        ? `refused: ${head.reason}`
        : `${encodeURIComponent(routes.decide(head).release)} ${encodeURIComponent(routes.decide(head).bucket)}`;
    res.writeHead(200, { 'content-length': Buffer.byteLength(body) });
    res.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the same key gets the same release and bucket from HAProxy and from the embedded gateway (invariant 7)', () => {
  it.for(CASES)(
    '$policy.kind of $key.from, $key.lookup, dealt by $account.from, led by $lead.leader',
    { timeout: 60_000 },
    async ({ key, policy, account, share, withoutKey = '1.0', pulled = [], lead }, test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const folder = await mkdtemp(join(tmpdir(), 'keys-'));
      const plan = planFor(SERVERS, {
        traffic: {
          key,
          policy: structuredClone(policy) as Mutable<TrafficPolicy>,
          ...(account === undefined ? {} : { account }),
        },
        // The rule that is no matter here counts no groups.
        decision: { unit: 'request' },
      });
      await using fixture = await HaproxyFixture.start(plan);
      // It answers with its decision instead of sending the request on.
      const config = await readFile(join(fixture.folder, 'haproxy.cfg'), 'utf8');
      const decision = `var(txn.go),and(${GO.number}),add(${DECISION_BASE}),map_str(${join(fixture.folder, 'routes.map')})`;
      const answer = `http-request return status 200 content-type text/plain lf-string "%[${decision},field(1,:)] %[${decision},field(2,:)]"`;
      await writeFile(join(fixture.folder, 'haproxy.cfg'), config.replace('# What counts.', answer));
      const ages = Array.from({ length: 3_000 }, (_, i) => `${i * 7_919},${(i % 80) + 3}`);
      for (const dir of [folder, fixture.folder])
        await writeFile(join(dir, 'ages.csv'), [...ages, 'zürich,20', 'é,70', '35,x'].join('\n'));
      const table: RouteTable = {
        ...tableOf([
          { ...SERVERS[0]!, cluster: 'main', release: '1.0', ingress: 'open' },
          { ...SERVERS[1]!, cluster: 'cluster-a', release: '2.0-a', ingress: 'open' },
          { ...SERVERS[2]!, cluster: 'cluster-b', release: '2.0-b', ingress: 'open' },
        ]),
        split: {
          key,
          policy:
            lead === undefined ? policy : withLeader(policy, { ...lead, candidates: ['2.0-a', '2.0-b'] }),
          ...(account === undefined ? {} : { account }),
          share,
          pulled,
          withoutKey,
          baseline: '1.0',
          salt: 'upgrade-7',
        },
      };
      await fixture.admin.publish({ ...table, measure: plan.measure }, {});
      await fixture.reloaded();

      const routes = await compileRoutes(table, {
        lookupDir: folder,
        previousLookup: null,
        tolerateLookup: false,
        logger,
      });
      const server = await embedded(routes);
      try {
        const requests: string[] = [];
        for (const one of keys()) {
          const index = requests.length;
          const group = account === undefined ? one : GROUP_KEYS[index % GROUP_KEYS.length];
          const dealt = account === undefined ? { headers: '' } : carried(account, one, index);
          const { path, headers } = carried(key, group, index);
          requests.push(
            requestOf({ headers: headers + dealt.headers, ...(path === undefined ? {} : { path }) }),
          );
          if (requests.length === PER_KIND) break;
        }
        const [ours, theirs] = await Promise.all([
          decisions((server.address() as AddressInfo).port, requests),
          decisions(Number(new URL(fixture.url).port), requests),
        ]);
        const differing = requests
          .map((request, i) => ({ request, embedded: ours[i], haproxy: theirs[i] }))
          .filter(
            (one) =>
              one.embedded?.replace(/[!'()*~]/g, encodeOctet).toLowerCase() !== one.haproxy?.toLowerCase(),
          );
        expect(differing.slice(0, 5)).toEqual([]);
        expect(new Set(ours).size).toBeGreaterThan(2);
      } finally {
        server.close();
        routes.lookup?.close();
        await rm(folder, { recursive: true });
      }
    },
  );
});
