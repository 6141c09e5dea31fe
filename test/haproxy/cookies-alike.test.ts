import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRequestHead, Refusal } from '../../src/gateway/request-head.ts';
import { compileKeySource } from '../../src/gateway/request-key.ts';
import { encodedOctets } from '../../src/haproxy/layout.ts';
import { tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';

const KEY = { from: 'cookie', name: 'card' } as const;
const SERVER = { name: 'one', url: 'http://127.0.0.1:19' };

/** `Cookie` fields of a request that two implementations are likely to read differently. */
const LIKELY: readonly (readonly string[])[] = [
  ['card=1'],
  ['card=1;card='],
  ['card=1; card='],
  ['card=1; card= '],
  ['card='],
  ['a=1;card='],
  ['card=1', 'card='],
  ['card=1', 'card=2'],
  ['card=1', ''],
  ['', 'card=1'],
  ['card', 'card=1', 'card'],
  ['a="x', 'card=1'],
  ['card="1', 'card=2'],
  ['card="1;card=2', 'a=b'],
  ['card="x\\', '"; card=1'],
  ['a"=1,card=2'],
  ['a"=1,b";card=2'],
  ['a="1,card=2'],
  ['a=1,card=2,'],
  [',,card=2,,'],
  ['a=b;,card=1'],
  ['card=1,card='],
  ['card=1 ,\t card=2'],
  ['card = 1'],
  ['card\t=\t"1" ;'],
  ['car d=1'],
  ['=1;card=2'],
  ['card==1'],
  ['card=1=2'],
  ['$card=1;card=2'],
  ['xcard=1;cardx=2'],
  ['card=voilà'],
  ['card=\xa01\xa0'],
  ['card="voilà"'],
  ['card=""'],
  ['card="'],
  ['card=a"b;c"d'],
];
const PIECES = [
  'card',
  'card=',
  'card=7',
  'a=b',
  '=',
  ';',
  '; ',
  ',',
  ' ',
  '\t',
  '"',
  '\\',
  '1',
  '$',
  '\xa0',
  'à',
];
const fields = fc.array(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 9 }).map((pieces) => pieces.join('')),
  { minLength: 1, maxLength: 3 },
);
const CASES = [...LIKELY, ...fc.sample(fields, { numRuns: 4_000, seed: 12 })];

/** As octets, one character each. */
function requestOf(cookies: readonly string[]): string {
  const lines = cookies.map((cookie) => `cookie: ${cookie}\r\n`).join('');
  const octets = lines.replaceAll('à', Buffer.from('à', 'utf8').toString('latin1'));
  return `GET / HTTP/1.1\r\nhost: x\r\n${octets}\r\n`;
}

/** The key that is found in each request, encoded, as the answer says. */
async function keysFound(port: number): Promise<string[]> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  await once(socket, 'connect');
  const found: string[] = [];
  let text = '';
  let sent = 0;
  while (found.length < CASES.length) {
    if (found.length === sent) {
      const batch = CASES.slice(sent, sent + 100);
      sent += batch.length;
      socket.write(batch.map(requestOf).join(''), 'latin1');
    }
    const [chunk] = (await once(socket, 'data')) as [string];
    text += chunk;
    const answers = text.split('<').slice(1);
    for (const answer of answers) if (answer.includes('>')) found.push(answer.slice(0, answer.indexOf('>')));
    text = text.slice(text.lastIndexOf('>') + 1);
  }
  socket.destroy();
  return found;
}

describe('cookies', () => {
  it(
    'are read alike by HAProxy and by the embedded gateway, whatever clients send (invariant 7)',
    { timeout: 60_000 },
    async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const plan = planFor([SERVER], { traffic: { key: KEY } });
      await using haproxy = await HaproxyFixture.start(plan);
      // It answers with the key that it found instead of sending the request on.
      const file = join(haproxy.folder, 'haproxy.cfg');
      const answer =
        'http-request return status 200 content-type text/plain lf-string "<%[var(txn.key),url_enc]>"';
      await writeFile(file, (await readFile(file, 'utf8')).replace('# What counts.', answer));
      const table = tableOf([{ ...SERVER, cluster: 'main', release: '1.0', ingress: 'open' }]);
      await haproxy.admin.publish({ ...table, measure: plan.measure }, {});
      await haproxy.reloaded();

      const find = compileKeySource(KEY);
      const watch = { keyHeader: null, transactionHeader: null };
      const traits = { name: 'gw', trustsContext: false, writesContext: false };
      const server = createServer((req, res) => {
        const head = readRequestHead(req, watch, traits);
        res.end(`<${head instanceof Refusal ? head.reason : encodedOctets(find(head) ?? '')}>`);
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      try {
        const [ours, theirs] = await Promise.all([
          keysFound((server.address() as AddressInfo).port),
          keysFound(Number(new URL(haproxy.url).port)),
        ]);
        const differing = CASES.map((cookies, i) => ({
          cookies,
          embedded: ours[i],
          haproxy: theirs[i],
        })).filter(({ embedded, haproxy: other }) => embedded !== other);
        expect(differing).toEqual([]);
        expect(new Set(ours).size).toBeGreaterThan(100);
      } finally {
        server.close();
      }
    },
  );
});
