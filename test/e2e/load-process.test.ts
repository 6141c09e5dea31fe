import { describe, expect, it } from 'vitest';
import { spawnLoad } from '../../demo/load/process.ts';
import { BASELINE } from '../../demo/packages.ts';
import { createBusinessBench } from '../demo/unpacked-business.ts';

describe('the load process', () => {
  it('says its totals each second, and on being stopped waits for what is under way and sums up', async () => {
    await using bench = await createBusinessBench();
    const servers = [];
    for (const name of ['s1', 's2']) servers.push((await (await bench.prepare(BASELINE, name)).start()).url);
    await using load = await spawnLoad({
      url: servers,
      ratePerSecond: 100,
      accounts: 20,
      seed: 4,
      mix: { slow: 5 },
      timeoutMs: 9000,
    });
    await expect.poll(() => load.latest()?.sent ?? 0, { timeout: 15_000 }).toBeGreaterThan(50);
    const summary = await load.stop();
    expect(summary).toMatchObject({ lost: 0, underWay: 0, answered: summary.sent, transactions: { cut: 0 } });
    expect(summary.sent).toBeGreaterThanOrEqual(load.latest()?.sent ?? 0);
    expect(await load.stop()).toEqual(summary);
    expect(() => process.kill(load.pid, 0), 'the process is gone').toThrow('ESRCH');
  });

  it('may be stopped as soon as it runs', async () => {
    await using load = await spawnLoad({ url: 'http://127.0.0.1:1', ratePerSecond: 100 });
    const summary = await load.stop();
    expect(summary).toMatchObject({ underWay: 0, answered: 0, lostBy: { network: summary.sent } });
  });

  it('fails with a reason when the process cannot run', async () => {
    const starting = spawnLoad({ url: 'http://127.0.0.1:1', ratePerSecond: -1 });
    await expect(starting).rejects.toThrow(/exit code 1.*without a summary/);
  });
});
