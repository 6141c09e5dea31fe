import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { GatewayUnits, UnitCount } from '../../src/protocol/gateway.ts';
import { serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const SUCCESSES = {
  allocated: { path: '/buy*' },
  volume: { kind: 'successes', match: { status: '201' } },
} as const satisfies PlanInput['measure'];
const AMOUNTS = {
  allocated: {},
  volume: { kind: 'amount', match: { status: '201' }, amountHeader: 'x-amount' },
} as const satisfies PlanInput['measure'];
const COUNTING: TrialCounting = { unit: 'request', control: true, timeoutMs: 60_000, windowMs: 0 };

interface Shop extends AsyncDisposable {
  readonly fixture: HaproxyFixture;
  /** Candidates a and b get odd and even accounts. */
  readonly table: (
    counting: TrialCounting | null,
    changes?: Partial<RouteTable & { split: TrafficSplit }>,
  ) => RouteTable;
  /** Answers of requests with `x-hold` are given when this is called. */
  readonly release: () => void;
  readonly held: () => number;
}

async function shop(measure: PlanInput['measure']): Promise<Shop> {
  const servers = await Promise.all(['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()));
  const waiting: (() => void)[] = [];
  for (const server of servers) {
    server.handler = (req, res) => {
      const amount = req.headers['x-want'];
      const give = (): void =>
        answer(res, Number(req.headers['x-status'] ?? 201), server.name, {
          ...(typeof amount === 'string' ? { 'x-amount': amount } : {}),
        });
      if (req.headers['x-hold'] === undefined) give();
      else waiting.push(give);
    };
  }
  const plan = planFor(servers, { measure });
  const fixture = await HaproxyFixture.start(plan, { upstreams: servers });
  const releases = ['1.0', '2.0-a', '2.0-b'];
  const { key, policy } = plan.traffic;
  const split: TrafficSplit = {
    key,
    policy: policy,
    withoutKey: '1.0',
    baseline: '1.0',
    share: 1,
    salt: 'trial-1',
    pulled: [],
  };
  return {
    fixture,
    table: (counting, changes = {}) =>
      tableOf(
        servers.map((server, index) => serverOf(server, { release: releases[index] ?? '' })),
        {
          measure: plan.measure,
          ...changes,
          split: { ...(changes.split ?? split), ...(counting === null ? {} : { counting }) },
        },
      ),
    release: () => waiting.splice(0).forEach((give) => give()),
    held: () => waiting.length,
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

async function send(
  url: string,
  account: string | null,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await request(`${url}/buy`, {
    headers: { ...headers, ...(account === null ? {} : { 'x-account': account }) },
  });
  await response.body.dump();
  return response.statusCode;
}

function countOf(units: GatewayUnits | undefined, release: string, tableVersion = 1): UnitCount | undefined {
  return units?.counts.find((count) => count.release === release && count.tableVersion === tableVersion);
}

async function unitsOf({ fixture }: Shop): Promise<GatewayUnits | undefined> {
  return (await fixture.admin.stats({})).units;
}

async function settled(all: Shop, what = 'all units are settled'): Promise<GatewayUnits | undefined> {
  let units = await unitsOf(all);
  await until(async () => {
    units = await unitsOf(all);
    return units?.pending === 0 && units.counts.length > 0;
  }, what);
  return units;
}

describe.concurrent('units counted by HAProxy', () => {
  it('are requests that the policy allotted, with their outcomes, each once', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    await fixture.admin.publish(table(COUNTING), {});
    for (let i = 0; i < 10; i += 1) await send(fixture.url, '1', { 'x-status': i < 4 ? '500' : '201' });
    for (let i = 0; i < 7; i += 1) await send(fixture.url, '2', { 'x-status': i < 1 ? '404' : '201' });
    await send(fixture.url, null);
    await (await request(fixture.url, { headers: { 'x-account': '1' } })).body.dump();
    const units = await settled(all);
    const common = { tableVersion: 1, group: 'all' };
    expect(units).toEqual({
      trial: 'trial-1',
      counts: expect.arrayContaining([
        { ...common, release: '2.0-a', n: 10, sum: 6, squares: 6, uncapped: 6 },
        { ...common, release: '2.0-b', n: 7, sum: 6, squares: 6, uncapped: 6 },
      ]) as UnitCount[],
      pending: 0,
      beyond: 0,
    });
    expect(units?.counts).toHaveLength(2);
  });

  it('miss no slow success beside quick failures: nothing later enters before it', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    await fixture.admin.publish(table(COUNTING), {});
    const slow = Array.from({ length: 5 }, () => send(fixture.url, '1', { 'x-hold': '1' }));
    await until(() => all.held() === 5, 'the slow requests are under way');
    const startedMs = Date.now();
    await until(async () => {
      await send(fixture.url, '2', { 'x-status': '500' });
      await send(fixture.url, '1', { 'x-status': '500' });
      return Date.now() > startedMs + 2_000;
    }, 'quick failures of two moments');
    expect(await unitsOf(all)).toMatchObject({ counts: [] });
    all.release();
    expect(await Promise.all(slow)).toEqual([201, 201, 201, 201, 201]);
    const units = await settled(all);
    expect(countOf(units, '2.0-a')).toMatchObject({ sum: 5 });
    expect(countOf(units, '2.0-b')).toMatchObject({ sum: 0, n: (countOf(units, '2.0-a')?.n ?? 0) - 5 });
  });

  it('count as failed where no answer comes in time, whatever comes then', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    await fixture.admin.publish(table({ ...COUNTING, timeoutMs: 300 }), {});
    const slow = send(fixture.url, '1', { 'x-hold': '1' });
    await send(fixture.url, '1');
    await until(() => all.held() === 1);
    const units = await settled(all);
    expect(countOf(units, '2.0-a')).toMatchObject({ n: 2, sum: 1 });
    all.release();
    expect(await slow).toBe(201);
    await send(fixture.url, '2');
    const later = await settled(all);
    expect(countOf(later, '2.0-a')).toMatchObject({ n: 2, sum: 1 });
  });

  it('belong to the table that was in effect at their assignment; what was pulled is no unit', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    const first = table(COUNTING);
    await fixture.admin.publish(first, {});
    const early = send(fixture.url, '1', { 'x-hold': '1' });
    await until(() => all.held() === 1);
    const split = { ...(first.split as TrafficSplit), pulled: ['2.0-b'] };
    await fixture.admin.publish(table(COUNTING, { version: 2, split }), {});
    await send(fixture.url, '1', { 'x-status': '500' });
    await send(fixture.url, '2');
    all.release();
    await early;
    const units = await settled(all);
    expect(countOf(units, '2.0-a', 1)).toMatchObject({ n: 1, sum: 1 });
    expect(countOf(units, '2.0-a', 2)).toMatchObject({ n: 1, sum: 0 });
    expect(units?.counts).toHaveLength(2);
    // Nothing is counted where no trial asks for it, and another trial counts anew.
    await fixture.admin.publish(table(null, { version: 3 }), {});
    await send(fixture.url, '1');
    expect(await unitsOf(all)).toBeUndefined();
    await fixture.admin.publish(table(COUNTING, { version: 4, split: { ...split, salt: 'trial-2' } }), {});
    await send(fixture.url, '1');
    const anew = await settled(all);
    expect(anew).toMatchObject({ trial: 'trial-2' });
    expect(anew?.counts).toMatchObject([{ tableVersion: 4, release: '2.0-a', n: 1, sum: 1 }]);
  });

  it('include the baseline only where it takes part, with what a stage holds back', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    const split = { ...(table(null).split as TrafficSplit), share: 0.5 };
    await fixture.admin.publish(table({ ...COUNTING, control: false }, { split }), {});
    const round = async (): Promise<void> => {
      for (let i = 0; i < 60; i += 1) await send(fixture.url, String(i));
    };
    await round();
    const without = await settled(all);
    const candidates = (countOf(without, '2.0-a')?.n ?? 0) + (countOf(without, '2.0-b')?.n ?? 0);
    expect(candidates).toBeGreaterThan(10);
    expect(candidates).toBeLessThan(50);
    expect(countOf(without, '1.0')).toBeUndefined();
    await fixture.admin.publish(table(COUNTING, { version: 2, split }), {});
    await round();
    await until(async () => countOf(await unitsOf(all), '1.0', 2)?.n === 60 - candidates);
    expect(countOf(await unitsOf(all), '2.0-a', 2)?.n).toBe(countOf(without, '2.0-a')?.n);
  });

  it('have amounts capped one by one, their squares, and what they were before', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(AMOUNTS);
    const { fixture, table } = all;
    const cap = 99.95;
    await fixture.admin.publish(table({ ...COUNTING, cap }), {});
    const amounts = [0, 0.0001, 12.5, 99.9499, 99.95, 1234567.8901, 9999999999, -20.25, 33.3333];
    for (const amount of amounts) await send(fixture.url, '1', { 'x-want': String(amount) });
    await send(fixture.url, '1');
    await send(fixture.url, '1', { 'x-want': 'much' });
    await send(fixture.url, '1', { 'x-want': '5', 'x-status': '500' });
    const count = countOf(await settled(all), '2.0-a');
    // A capped amount is cut to a 65,536th of the cap.
    const parts = amounts.map((amount) => {
      const units = Math.min(Math.max(Math.round(amount * 10_000), 0), 999_500);
      return Math.floor((units * 65_536) / 999_500) / 65_536;
    });
    const total = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0);
    expect(count?.n).toBe(12);
    expect(count?.sum).toBeCloseTo(total(parts), 12);
    expect(count?.squares).toBeCloseTo(total(parts.map((part) => part * part)), 12);
    expect(count?.uncapped).toBeCloseTo(total(amounts), 4);
    const exact = amounts.map((amount) => Math.min(Math.max(amount / cap, 0), 1));
    expect(Math.abs((count?.sum ?? 0) - total(exact))).toBeLessThan(amounts.length / 65_536);
  });

  it('lose whole moments over a reload at most, and keep what had entered; a companion may be away', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const { fixture, table } = all;
    await fixture.admin.publish(table(COUNTING), {});
    for (let i = 0; i < 8; i += 1) await send(fixture.url, '1', { 'x-status': i < 2 ? '500' : '201' });
    await settled(all);
    // Entered: 8. Under way at the reload: one, which is not known any more, and whose moment does not enter.
    const cut = send(fixture.url, '1', { 'x-hold': '1' });
    await until(() => all.held() === 1);
    await fixture.reloaded();
    await fixture.companion.close();
    for (let i = 0; i < 6; i += 1) await send(fixture.url, '2');
    await fixture.startCompanion();
    await until(async () => countOf(await unitsOf(all), '2.0-b')?.n === 6, 'the new process counts');
    all.release();
    expect(await cut).toBe(201);
    await fixture.companion.close();
    await fixture.startCompanion();
    await send(fixture.url, '2', { 'x-status': '500' });
    await until(async () => countOf(await unitsOf(all), '2.0-b')?.n === 7, 'it goes on');
    expect(countOf(await unitsOf(all), '2.0-a')).toMatchObject({ n: 8, sum: 6 });
    expect(countOf(await unitsOf(all), '2.0-b')).toMatchObject({ n: 7, sum: 6 });
  });

  it('are refused by account where the rules are for requests, before anything changes', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop(SUCCESSES);
    const accounts = all.table({ ...COUNTING, unit: 'account', windowMs: 1_000 });
    const refusal = expect.stringContaining('rendered for another units') as string;
    await expect(all.fixture.admin.check(accounts, {})).resolves.toEqual(refusal);
    await expect(all.fixture.admin.publish(accounts, {})).rejects.toMatchObject({ message: refusal });
  });
});
