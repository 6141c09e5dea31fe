import { describe, expect, it } from 'vitest';
import { BASELINE, FLOATING_SECOND, STATIC_HOME } from '../../demo/packages.ts';
import { createBusinessBench } from './unpacked-business.ts';

const post = (url: string, headers: Record<string, string>): Promise<Response> =>
  fetch(url, { method: 'POST', headers });

describe('the demo business', () => {
  it('offers wealth products where its mode says', async () => {
    await using bench = await createBusinessBench();
    const offers = [];
    for (const release of [BASELINE, STATIC_HOME, FLOATING_SECOND]) {
      const { url } = await (await bench.prepare(release, release.mode)).start();
      const [home, second] = await Promise.all(
        ['/', '/page/2'].map(async (path) => (await fetch(url + path)).text()),
      );
      offers.push([home?.includes('Harvest 12'), second?.includes('Harvest 12')]);
    }
    expect(offers).toEqual([
      [false, false],
      [true, false],
      [false, true],
    ]);
  });

  it('sells at its success rate, and to the same customer the same on every visit of one id', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare(STATIC_HOME, 's1')).start();
    const visits = (): Promise<Response[]> =>
      Promise.all(
        Array.from({ length: 400 }, (_, index) =>
          post(`${url}/visit`, { 'x-account': String(100_000 + index), 'x-visit': 'v' }),
        ),
      );
    const outcomes = (await visits()).map((answer) => ({
      status: answer.status,
      outcome: answer.headers.get('x-outcome'),
      amount: answer.headers.get('x-amount'),
    }));
    const bought = outcomes.filter(({ outcome }) => outcome === 'bought');
    // The draws are fixed, so the count is; within four standard errors of 80 %.
    expect(bought.length / outcomes.length).toBeGreaterThan(0.72);
    expect(bought.length / outcomes.length).toBeLessThan(0.88);
    expect(bought.every(({ status, amount }) => status === 201 && Number(amount) >= 100)).toBe(true);
    expect(outcomes.filter(({ status }) => status === 200).every(({ amount }) => amount === null)).toBe(true);
    expect((await visits()).map((answer) => answer.headers.get('x-outcome'))).toEqual(
      outcomes.map(({ outcome }) => outcome),
    );
  });

  it('carries a transaction from start to end, and refuses a step of one that it does not know', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare(BASELINE, 's1')).start();
    const headers = { 'x-account': '100001', 'x-transaction': 't-1' };
    const answers = [];
    for (const path of ['/tx', '/tx/step', '/tx/finish', '/tx/step']) {
      const answer = await post(url + path, headers);
      answers.push([answer.status, answer.headers.get('x-transaction-end'), answer.headers.get('x-server')]);
    }
    expect(answers).toEqual([
      [201, null, 's1'],
      [200, null, 's1'],
      [200, '1', 's1'],
      [409, null, 's1'],
    ]);
  });

  it('finishes what is in flight after SIGTERM, says so in its record, and takes nothing new', async () => {
    await using bench = await createBusinessBench();
    const server = await bench.prepare(BASELINE, 's1');
    const { url } = await server.start();
    await post(`${url}/tx`, { 'x-transaction': 't-1' });
    // The head is out, the body is not: the request is in flight.
    const slow = await fetch(`${url}/slow?ms=600`);
    expect(await (await fetch(`${url}/inflight`)).json()).toMatchObject({ inFlight: 1, openTransactions: 1 });
    const closed = server.close();
    expect(await slow.text()).toMatch(/done\n$/);
    await closed;
    await expect(fetch(url)).rejects.toThrow();
    expect(await bench.records('s1')).toMatchObject([
      { event: 'start', server: 's1', version: '1.4' },
      { event: 'stop', inFlight: 1, openTransactions: 1 },
      { event: 'exit', inFlight: 0 },
    ]);
  });

  it('no longer counts a request whose client went away', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare(BASELINE, 's1')).start();
    const abort = new AbortController();
    await fetch(`${url}/slow?ms=60000`, { signal: abort.signal });
    abort.abort();
    await expect.poll(async () => (await fetch(`${url}/inflight`)).json()).toMatchObject({ inFlight: 0 });
  });

  it('can fail to start, with its reasons on stderr', async () => {
    await using bench = await createBusinessBench();
    const server = await bench.prepare({ ...BASELINE, failStart: true }, 's1');
    await expect(server.start()).rejects.toThrow(/reading.*\n.*has no product.*\n.*cannot start/);
  });

  it('can hang at its start: it listens, and is never healthy', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare({ ...BASELINE, hangStart: true }, 's1')).start();
    const health = await fetch(`${url}/health`);
    expect([health.status, await health.json()]).toMatchObject([503, { version: '1.4', status: 'starting' }]);
  });

  it('can fail a share of its business, and never its health', async () => {
    await using bench = await createBusinessBench();
    const { url } = await (await bench.prepare({ ...BASELINE, errorRate: 1 }, 's1')).start();
    expect((await fetch(`${url}/products`)).status).toBe(500);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});
