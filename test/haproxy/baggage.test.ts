import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { membersOf, withoutOwn } from '../../src/gateway/baggage.ts';
import { tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

/** Fields as a client sends them. */
const SENT: readonly (readonly string[])[] = [
  [],
  ['tenant=x'],
  ['tenant=x,user=a%20b;p=1', 'more=1'],
  ['tenant=x, changeover.route.shop=2.0-a ,changeover.key=1;p=2,user=y'],
  ['changeover.key=1'],
  ['changeover.key=1', 'changeover.route.shop=2'],
  ['a=1', 'changeover.key=1, b=2', 'c=3,CHANGEOVER.KEY=2'],
  ['%63hangeover.route.shop=2.0-a,user=y', 'user=%63hangeover.key'],
  ['%63%48%41ngeover%2Eroute.shop=2.0-a,t=1'],
  ['%2563hangeover.key=1, %25252563hangeover.key=1,z=%2563'],
  ['%%36%33hangeover.key=1,q=1', '%6%33hangeover.key=1'],
  ['+changeover.key=1,%20changeover.key=2,\tchangeover.key=3,%09+%7fchangeover.key=4,k=5'],
  ['changeover=1,changeoverx.key=2,xchangeover.key=3,a=changeover.key,changeover.=4'],
  ['x="a,changeover.key=7",y=2', 'z="'],
  [',, a=1,,changeover.key=2,,'],
  ['changeover.route.shop;p=1,changeover.key , a=1;changeover.key=2'],
  ['%74enant=x,changeover.key=1,100%=y,%zz=1'],
  ['\xa0changeover.key=1,é=1'],
];

/** As long as what every platform passes on; what repeats is before a key, in it, or around it. */
const LONG: readonly (readonly string[])[] = [' ', '\t', '+', '%20', '%2520', '%09+', ' %a0'].flatMap(
  (blank) => {
    const blanks = blank.repeat(Math.floor(8_000 / blank.length));
    return [
      [`a=b,${blanks}changeover.route.shop=2.0-b`],
      [`${blanks}changeover.key=1,c=d`],
      [`a=b,${blanks}other=1`],
    ];
  },
);
const DEEP: readonly (readonly string[])[] = [
  [`a=b,%${'25'.repeat(3_900)}63hangeover.key=1`],
  [`a=${'x'.repeat(7_900)},changeover.key=1`],
  [`a=b,${'x%41'.repeat(1_900)}=1,changeover.key=1`],
  [...Array.from({ length: 60 }, (_, index) => `a${index}=1`), 'changeover.key=1'],
  [`${','.repeat(4_000)}changeover.key=1${','.repeat(4_000)}`],
  [`${'a=1,'.repeat(1_900)}changeover.key=1`],
];

/** What the server saw of it. */
async function passedOn(
  port: number,
  server: UpstreamServer,
  fields: readonly string[],
  extra = '',
): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  const head = fields.map((field) => `baggage: ${field}\r\n`).join('');
  socket.end(Buffer.from(`GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${extra}${head}\r\n`, 'latin1'));
  socket.resume();
  await once(socket, 'close');
  const raw = server.requests.at(-1)?.rawHeaders ?? [];
  return raw.filter((_, index) => index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'baggage');
}

const TRANSACTIONS = { id: { from: 'header', name: 'x-transaction' } } as const;

describe('W3C baggage at HAProxy', () => {
  it('what clients say of routes is taken out as by the embedded gateway, all else stays, nothing is added', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const server = await new UpstreamServer('one').listen();
    await using fixture = await HaproxyFixture.start(planFor([server]), { upstreams: [server] });
    await fixture.admin.publish(tableOf([server]), {});
    const port = Number(new URL(fixture.url).port);
    for (const fields of [...SENT, ...LONG, ...DEEP]) {
      const seen = await passedOn(port, server, fields, 'x-account: 7\r\n');
      const [kept, expected] = [seen.join(','), withoutOwn(fields.join(','))].map(membersOf);
      expect({ fields, kept }).toEqual({ fields, kept: expected });
      // As it came where there was nothing to take out; no empty fields where there was.
      if (withoutOwn(fields.join(',')) === fields.join(',')) expect(seen).toEqual(fields);
      else
        expect(seen.every((field) => /^[^,\s](?:.*[^,\s])?$/.test(field) && !/,\s*,/.test(field))).toBe(true);
    }
  });

  it('writes the decision, the key and the transaction where that is asked for', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const server = await new UpstreamServer('one').listen();
    const plan = planFor([server], { traffic: { transactions: { ...TRANSACTIONS, idle: '30s' } } });
    await using fixture = await HaproxyFixture.start(plan, { upstreams: [server], context: true });
    const transactions = plan.traffic.transactions ?? null;
    await fixture.admin.publish(tableOf([server], { transactions }), {});
    const port = Number(new URL(fixture.url).port);
    const sent = ['tenant=x,changeover.key=9,changeover.route.shop=2'];
    const headers = 'x-account: a b,7\r\nx-transaction: t 1\r\n';
    expect(membersOf((await passedOn(port, server, sent, headers)).join(','))).toEqual([
      'tenant=x',
      'changeover.route.shop=1.0',
      'changeover.key=a%20b%2C7',
      'changeover.transaction=t%201',
    ]);
    const alone = membersOf((await passedOn(port, server, [], 'x-account: \xff\r\n')).join(','));
    expect(alone).toEqual([
      'changeover.route.shop=1.0',
      expect.stringMatching(/^changeover\.transaction=[0-9a-f-]{36}$/),
    ]);
  });
});
