import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { KeySource, TrafficPolicy } from '../../src/domain/policy/policy.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { type CompiledRoutes, compileRoutes } from '../../src/gateway/compiled-routes.ts';
import { readRequestHead, Refusal } from '../../src/gateway/request-head.ts';
import { requireComponent } from '../support/require-component.ts';
import { tableOf } from '../gateway/support/gateway-fixture.ts';
import { DECISION_BASE, GO } from '../../src/haproxy/layout.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';

const logger = pino({ level: 'silent' });
type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
const PER_KIND = 20_000;
const SERVERS = [
  { name: 'one', url: 'http://127.0.0.1:9' },
  { name: 'two', url: 'http://127.0.0.1:10' },
  { name: 'three', url: 'http://127.0.0.1:11' },
];

interface Case {
  readonly key: KeySource;
  readonly policy: TrafficPolicy;
  /** Where the account is found by which groups are dealt; then the key is one of `GROUP_KEYS`. */
  readonly account?: KeySource;
  readonly share: number;
  readonly withoutKey?: string;
  readonly pulled?: string[];
}

const CASES: readonly Case[] = [
  {
    key: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: '2.0-a' },
        { tail: [0, 2, 4], to: '2.0-b' },
      ],
      otherwise: '1.0',
    },
    share: 0.25,
  },
  {
    key: { from: 'cookie', name: 'account' },
    policy: { kind: 'hash', salt: 'spring, 2026: é', weights: { '2.0-a': 1, '2.0-b': 2, '1.0': 0.5 } },
    share: 0.3333,
  },
  {
    key: { from: 'query', name: 'account' },
    policy: {
      kind: 'range',
      rules: [
        { below: -5, to: '2.0-b' },
        { from: 0, below: 35, to: '2.0-a' },
        { from: 35, below: 60, to: '2.0-b' },
      ],
      otherwise: '1.0',
    },
    share: 1,
  },
  {
    key: { from: 'path', segment: 2 },
    policy: {
      kind: 'values',
      rules: [
        { values: ['zürich', 'basel stadt', '4711', "~'!()*", 'a:b|c;d\\e,f%'], to: '2.0-a' },
        { values: ['bern'], to: '2.0-b' },
      ],
      otherwise: '2.0-b',
    },
    share: 0.5,
  },
  {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      rules: [
        { below: 35, to: '2.0-a' },
        { from: 35, to: '2.0-b' },
      ],
    },
    share: 0.5,
    pulled: ['2.0-b'],
  },
  {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      salt: 'spring, 2026: é',
      rules: [
        { below: 35, to: { '2.0-a': 1, '2.0-b': 2, '1.0': 0.5 } },
        { from: 35, below: 60, to: { '2.0-a': 3, '2.0-b': 0.01 } },
        { from: 60, to: '1.0' },
      ],
    },
    share: 0.3333,
  },
  {
    key: { from: 'path', segment: 2 },
    account: { from: 'cookie', name: 'account' },
    policy: {
      kind: 'values',
      rules: [
        { values: ['zürich', 'basel stadt', '4711'], to: { '2.0-a': 1, '2.0-b': 1 } },
        { values: ['bern'], to: { '2.0-a': 1, '2.0-b': 9 } },
        { values: ['genf'], to: '1.0' },
      ],
      otherwise: { '2.0-a': 9_999, '2.0-b': 1 },
    },
    share: 0.5,
    withoutKey: '2.0-a',
    pulled: ['2.0-b'],
  },
];

const GROUP_KEYS = ['zürich', 'bern', 'chur', undefined, 'genf', '4711', 'basel stadt', '60'];

/** Keys that two implementations are likely to read differently, then ordinary ones. */
function* keys(): Iterable<string | undefined> {
  yield* [
    undefined,
    '',
    ' ',
    '0',
    '-0',
    '-1',
    '-5',
    '-5.0',
    '-5.01',
    '-4.99',
    '-0.5',
    '34.999',
    '35',
    '35.',
    '.5',
  ];
  yield* [
    '0035',
    '00000000000000000000034',
    '99999999999999999999',
    '-99999999999999999999',
    '1e3',
    '0x10',
    '+7',
  ];
  yield* [
    '999999999999999.99999',
    '17.9999999999999999999999',
    '60',
    '59.9',
    '--1',
    '1.2.3',
    'zürich',
    'basel stadt',
  ];
  yield* [
    'bern',
    '4711',
    "~'!()*",
    'a:b|c;d\\e,f%',
    '%41',
    '%zz',
    '50%',
    'a,b',
    'a, 7',
    '"7"',
    '"',
    '""',
    'x=8',
    '日本8',
  ];
  yield* [
    '\xff\xfe9',
    '\x80',
    'é',
    '9'.repeat(255),
    '9'.repeat(256),
    '9'.repeat(257),
    'x'.repeat(1_000) + '4',
  ];
  yield* [
    'a+b',
    'a%2Bb',
    '%2F',
    '%00',
    '%C3%A9',
    '%ff7',
    '%E',
    '?',
    'a?b',
    'a&b',
    '#',
    'a#1',
    '\t7',
    '7\t',
    '7 ',
  ];
  for (let i = 0; ; i += 1) {
    yield String(i * 7_919);
    yield `cust-${(i * 104_729) % 1_000_003}`;
    yield String((i % 90) - 10);
    yield `${(i % 80) - 10}.${i % 100}`;
    yield `k${i}ü${i % 10}`;
  }
}

/** The octets of a text as UTF-8, one character each; what is an octet already stays. */
function octets(text: string): string {
  return /[^\x00-\xff]/.test(text) || text.includes('ü') || text.includes('é')
    ? Buffer.from(text, 'utf8').toString('latin1')
    : text;
}

interface Carried {
  readonly path?: string;
  readonly headers: string;
}

function requestOf({ path = '/a/', headers }: Carried): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
}

/** What carries the key, raw: what cannot be sent at all in that place is left out. */
function carried(source: KeySource, key: string | undefined, index: number): Carried {
  const raw = key === undefined ? undefined : octets(key);
  const isText = raw === undefined || !/[\0\r\n]/.test(raw);
  const inUrl = raw?.replace(/[^\x21-\x7e]/g, (char) => encodeOctet(char)).replaceAll('#', '%23');
  let headers = '';
  let path: string | undefined;
  if (raw !== undefined && isText) {
    if (source.from === 'header')
      headers = `${source.name}: ${raw}\r\n${index % 7 === 0 ? `${source.name}: 3\r\n` : ''}`;
    if (source.from === 'cookie') headers = `cookie: ${cookieWith(source.name, raw, index)}\r\n`;
    if (source.from === 'query')
      path = `/a?b=1&${source.name}=${inUrl ?? ''}${index % 7 === 0 ? `&${source.name}=3` : ''}`;
    if (source.from === 'path') path = `/a/${inUrl ?? ''}/c`;
  }
  return { headers, ...(path === undefined ? {} : { path }) };
}

/** As clients write cookies, and as they should not. */
function cookieWith(name: string, value: string, index: number): string {
  switch (index % 11) {
    case 0:
      return `a=b; ${name}="${value}"; c=1`;
    case 1:
      return `a="b;${name}=1";${name} =\t${value} ; c=1`;
    case 2:
      return `${name}=3; a=b; ${name}=${value}`;
    case 3:
      return `a=b, ${name} = ${value} ,c=1`;
    case 4:
      return `${name}x=1; x${name}=2; $${name}=4; ${name}=${value}; ${name}y`;
    case 5:
      return `a=b; ${name}=${value}; ${name}${['', '=', '; c=1', ', c', '==1'][index % 5] ?? ''}`;
    case 6:
      return `a="b\\"; ${name}=5; c"; ${name}="${value}" x`;
    default:
      return `a=b; ${name}=${value}; c=1`;
  }
}

function encodeOctet(char: string): string {
  return `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** What a gateway decides for each of the requests, sent as one stream of octets. */
async function decisions(port: number, requests: readonly string[]): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  const found: string[] = [];
  let text = '';
  let sent = 0;
  const more = (): void => {
    const batch = requests.slice(sent, sent + 100);
    sent += batch.length;
    if (batch.length > 0) socket.write(Buffer.from(batch.join(''), 'latin1'));
  };
  const all = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () =>
      reject(new Error(`closed after ${found.length}: ${JSON.stringify(requests[found.length])}`)),
    );
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (;;) {
        const head = text.indexOf('\r\n\r\n');
        if (head < 0) break;
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1]);
        if (text.length < head + 4 + length) break;
        found.push(text.slice(head + 4, head + 4 + length));
        text = text.slice(head + 4 + length);
      }
      if (found.length === requests.length) resolve();
      else if (found.length === sent) more();
    });
  });
  more();
  await all;
  socket.removeAllListeners('close');
  socket.destroy();
  return found;
}

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
    '$policy.kind of $key.from, $key.lookup, dealt by $account.from',
    { timeout: 60_000 },
    async ({ key, policy, account, share, withoutKey = '1.0', pulled = [] }, test) => {
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
          policy,
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
