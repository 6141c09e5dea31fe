import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../demo/load/exchange.ts';
import { createLoad } from '../../demo/load/load.ts';
import type { LoadSummary, LoadTotals } from '../../demo/load/summary.ts';
import { latencyWithin } from '../../demo/load/timeline.ts';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import { createCarelessProxy } from './careless-proxy.ts';
import { createBusinessBench } from './unpacked-business.ts';

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

function expectConserved(totals: LoadTotals): void {
  const { sent, answered, lost, underWay, lostBy, transactions } = totals;
  expect(answered + lost + underWay).toBe(sent);
  expect(sum(Object.values(lostBy))).toBe(lost);
  const { started, finished, cut } = transactions;
  expect(finished + cut + transactions.underWay).toBe(started);
}

function expectTimelineAddsUp({ timeline, sent, answered, lost, byVersion }: LoadSummary): void {
  expect(sum(timeline.map((second) => second.sent))).toBe(sent);
  expect(sum(timeline.map((second) => second.answered))).toBe(answered);
  expect(sum(timeline.map((second) => second.lost))).toBe(lost);
  for (const [version, { answers }] of Object.entries(byVersion)) {
    expect(sum(timeline.map((second) => second.byVersion[version] ?? 0))).toBe(answers);
  }
}

/** Generous, for the machine may be busy; what is awaited comes within a second or two. */
const SOON = { timeout: 15_000 };
const BUSY = { quick: 50, visit: 30, slow: 2, transaction: 18 };

describe('the load generator', () => {
  it('conserves: sent = answered + lost + under way, at every moment and in every sum', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare(STATIC_HOME, 's1')).start();
    const exchanges: Exchange[] = [];
    await using load = createLoad(
      { url, ratePerSecond: 400, accounts: 40, mix: BUSY },
      {
        onExchange: (exchange) => {
          exchanges.push(exchange);
          if (exchanges.length % 50 === 0) expectConserved(load.totals());
        },
      },
    );
    load.start();
    await expect.poll(() => load.totals().transactions.finished, SOON).toBeGreaterThan(10);
    const summary = await load.stop();
    expectConserved(summary);
    expectTimelineAddsUp(summary);
    expect(summary).toMatchObject({
      lost: 0,
      underWay: 0,
      losses: [],
      cuts: [],
      byStatus: { '2xx': summary.sent },
    });
    expect(summary.transactions).toMatchObject({ cut: 0, underWay: 0 });
    expect(exchanges).toHaveLength(summary.sent);
    const visits = exchanges.filter(({ business }) => business.kind === 'visit');
    const bought = visits.filter(({ reply }) => reply.status === 201);
    expect(summary.byVersion['2.0-a']).toMatchObject({ visits: visits.length, bought: bought.length });
    expect(latencyWithin(summary.timeline, { quantile: 0.5 })).toBe(summary.p50Ms);
    expect(new Set(Object.values(summary.keys))).toEqual(new Set(['2.0-a']));
  });

  it('sends by schedule while nothing is answered', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare({ ...BASELINE, slowByMs: 60_000 }, 's1')).start();
    await using load = createLoad({
      url,
      ratePerSecond: 200,
      timeoutMs: 2000,
      mix: { slow: 0, transaction: 0 },
    });
    load.start();
    await expect.poll(() => load.totals().underWay, SOON).toBeGreaterThan(100);
    expect(load.totals().answered).toBe(0);
    const summary = await load.stop();
    expectConserved(summary);
    expect(summary.lostBy).toMatchObject({ timeout: summary.sent });
    expect(summary.p50Ms, 'what was never answered has no latency').toBeNull();
  });

  it('notices transactions that are cut, because their steps come to several servers (invariant 5)', async () => {
    await using bench = await createBusinessBench();
    const servers: string[] = [];
    for (const name of ['s1', 's2']) servers.push((await (await bench.prepare(BASELINE, name)).start()).url);
    await using proxy = await createCarelessProxy(servers, (request) =>
      request.url === '/tx/finish' ? 1 : 0,
    );
    await using load = createLoad({ url: proxy.url, ratePerSecond: 100, mix: BUSY });
    load.start();
    await expect.poll(() => load.totals().transactions.cut, SOON).toBeGreaterThan(3);
    const summary = await load.stop();
    expectConserved(summary);
    expect(summary.lost, 'a cut transaction is no lost request').toBe(0);
    expect(summary.transactions).toMatchObject({ finished: 0, cut: summary.transactions.started });
    expect(summary.byStatus['4xx']).toBe(summary.transactions.cut);
    expect(summary.cuts[0]).toMatchObject({
      path: '/tx/finish',
      reason: expect.stringContaining('409') as string,
    });
  });

  it('notices a transaction that goes on elsewhere, even if that server knows it', async () => {
    await using bench = await createBusinessBench();
    const servers: string[] = [];
    for (const [name, release] of [
      ['s1', BASELINE],
      ['s2', STATIC_HOME],
    ] as const) {
      servers.push((await (await bench.prepare(release, name)).start()).url);
    }
    // Every start goes to both, so that both know the transaction; the client is answered by the first.
    await using proxy = await createCarelessProxy(servers, async (request) => {
      if (request.url === '/tx') {
        const headers = { 'x-transaction': String(request.headers['x-transaction']) };
        await fetch(`${String(servers[1])}/tx`, { method: 'POST', headers });
      }
      return request.url === '/tx/finish' ? 1 : 0;
    });
    await using load = createLoad({ url: proxy.url, ratePerSecond: 100, mix: BUSY });
    load.start();
    await expect.poll(() => load.totals().transactions.cut, SOON).toBeGreaterThan(0);
    expect((await load.stop()).cuts[0]).toMatchObject({ reason: 'version changed from 1.4 to 2.0-a' });
  });

  it('notices each lost request, and says what was lost, when and why', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare(BASELINE, 's1')).start();
    let broken = 0;
    let refused = 0;
    await using proxy = await createCarelessProxy([url], (_request, count) => {
      if (count % 20 === 0) return ((broken += 1), 'break');
      if (count % 20 === 10) return ((refused += 1), 'refuse');
      return 0;
    });
    await using load = createLoad({ url: proxy.url, ratePerSecond: 200, mix: { slow: 0, transaction: 0 } });
    load.start();
    await expect.poll(() => load.totals().lost, SOON).toBeGreaterThan(20);
    const summary = await load.stop();
    expectConserved(summary);
    expectTimelineAddsUp(summary);
    expect(summary.lostBy).toEqual({ network: broken, gatewayError: refused, timeout: 0, serverError: 0 });
    expect(summary.losses.length).toBe(Math.min(500, broken + refused));
    const loss = summary.losses.find(({ kind }) => kind === 'network');
    expect(loss).toMatchObject({ transaction: null, account: expect.stringMatching(/^\d{6}$/) as string });
    expect(loss?.error).toMatch(/UND_ERR_SOCKET|ECONNRESET/);
  });

  it('tells an error of the software from one of a gateway, and sees accounts change sides (invariant 7)', async () => {
    await using bench = await createBusinessBench();
    const failing = { ...STATIC_HOME, errorRate: 0.5 };
    const servers: string[] = [];
    for (const [name, release] of [
      ['s1', BASELINE],
      ['s2', failing],
    ] as const) {
      servers.push((await (await bench.prepare(release, name)).start()).url);
    }
    let candidate = 0;
    await using proxy = await createCarelessProxy(servers, () => candidate);
    await using load = createLoad({
      url: proxy.url,
      ratePerSecond: 200,
      accounts: 5,
      mix: { slow: 0, transaction: 0 },
    });
    load.start();
    await expect.poll(() => load.totals().byVersion['1.4']?.answers ?? 0, SOON).toBeGreaterThan(50);
    expect(load.totals().lost).toBe(0);
    candidate = 1;
    await expect.poll(() => load.totals().lostBy.serverError, SOON).toBeGreaterThan(5);
    const summary = await load.stop();
    expect(summary.lostBy).toMatchObject({ gatewayError: 0, serverError: summary.lost });
    expect(summary.losses.every(({ version }) => version === '2.0-a')).toBe(true);
    expect(summary.moves.map(({ account }) => account).sort()).toEqual(Object.keys(summary.keys).sort());
    expect(summary.moves.every(({ from, to }) => from === '1.4' && to === '2.0-a')).toBe(true);
  });
});
