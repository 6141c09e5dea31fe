import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { TrafficCount } from '../../src/domain/measure.ts';
import { GatewayFixture, serverOf, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

/** What a server writes for an amount → what is counted; null: it is no amount. */
const AMOUNTS: readonly (readonly [text: string, counted: number | null])[] = [
  ['19.90', 19.9],
  ['0', 0],
  ['-5.25', -5.25],
  ['+5', 5],
  ['.5', 0.5],
  ['-.5', -0.5],
  ['5.', 5],
  ['1.99999', 1.9999],
  ['-1.99999', -1.9999],
  ['0.00009', 0],
  ['000000000000042.10', 42.1],
  ['9999999999.9999', 9_999_999_999.9999],
  ['-9999999999.9999', -9_999_999_999.9999],
  ['12345678901', null],
  ['123456789012345.5', null],
  ['1e3', null],
  ['0x10', null],
  ['1,000', null],
  ["1'000", null],
  ['1 000', null],
  ['.', null],
  ['-', null],
  ['+-5', null],
  ['--5', null],
  ['5-', null],
  ['1.2.3', null],
  ['CHF 5', null],
  ['Infinity', null],
  ['NaN', null],
  ['', null],
  ['٣', null],
];

async function counted(url: string, counts: () => Promise<readonly TrafficCount[]>) {
  const found: [string, number | null][] = [];
  let before = { amount: 0, unread: 0 };
  for (const [text] of AMOUNTS) {
    const response = await request(url, { headers: { 'x-want': encodeURIComponent(text) } });
    await response.body.dump();
    const after = { amount: 0, unread: 0 };
    for (const { volumeAmount, unreadAmounts = 0 } of await counts()) {
      after.amount += volumeAmount;
      after.unread += unreadAmounts;
    }
    const amount = Math.round((after.amount - before.amount) * 10_000) / 10_000;
    found.push([text, after.unread > before.unread ? null : amount + 0]);
    before = after;
  }
  return found;
}

describe('amounts are read alike by HAProxy and by the embedded gateway', () => {
  it('each as it is written, and what is none is counted as such', { timeout: 60_000 }, async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const server = await new UpstreamServer('one').listen();
    server.handler = (req, res) => {
      const want = req.headers['x-want'];
      const octets = Buffer.from(decodeURIComponent(String(want)), 'utf8').toString('latin1');
      answer(res, 200, 'one', want === undefined ? {} : { 'x-amount': octets });
    };
    const plan = planFor([server], {
      measure: { allocated: {}, volume: { kind: 'amount', match: {}, amountHeader: 'x-amount' } },
    });
    await using haproxy = await HaproxyFixture.start(plan, { upstreams: [server] });
    const table = tableOf([serverOf(server)], { measure: plan.measure });
    await haproxy.admin.publish(table, {});
    await using embedded = await GatewayFixture.start(table);
    const byHaproxy = await counted(haproxy.url, async () => (await haproxy.admin.stats({})).counts);
    const byEmbedded = await counted(embedded.url, () => embedded.counts());
    expect(byHaproxy).toEqual(AMOUNTS);
    expect(byEmbedded).toEqual(AMOUNTS);
  });

  const SUMS: readonly [what: string, unitsOf: (index: number) => number][] = [
    ['of ordinary ones', (i) => ((i * 7_919) % 1_000_003) - 200_000],
    ['of more than a hundred billion', (i) => 99_999_999_999_999 - ((i * 7_919) % 1_000_003)],
    ['of great ones, half of them below zero', (i) => (99_999_999_999_999 - i * 3) * (i % 2 === 0 ? 1 : -1)],
  ];
  it.for(SUMS)(
    'and their sum is the same to the last digit: %s',
    { timeout: 60_000 },
    async ([, unitsOf], test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const server = await new UpstreamServer('one').listen();
      let next = 0;
      server.handler = (_req, res) => {
        const units = unitsOf(next);
        next += 1;
        const digits = String(Math.abs(units)).padStart(5, '0');
        const amount = `${units < 0 ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`;
        answer(res, 200, 'one', { 'x-amount': amount });
      };
      const plan = planFor([server], {
        measure: { allocated: {}, volume: { kind: 'amount', match: {}, amountHeader: 'x-amount' } },
      });
      await using haproxy = await HaproxyFixture.start(plan, { upstreams: [server] });
      const table = tableOf([serverOf(server)], { measure: plan.measure });
      await haproxy.admin.publish(table, {});
      await using embedded = await GatewayFixture.start(table);
      const sums: number[] = [];
      for (const { url, admin } of [haproxy, embedded]) {
        next = 0;
        for (let i = 0; i < 201; i += 1) await (await request(url)).body.dump();
        const { counts } = await admin.stats({});
        sums.push(...counts.filter(({ requests }) => requests > 0).map(({ volumeAmount }) => volumeAmount));
      }
      const units = Array.from({ length: 201 }, (_, i) => BigInt(unitsOf(i))).reduce((sum, one) => sum + one);
      const exact = Number(`${units / 10_000n}.${String(units % 10_000n).padStart(4, '0')}`);
      expect(sums).toEqual([exact, exact]);
    },
  );
});
