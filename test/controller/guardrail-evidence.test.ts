import { afterEach, describe, expect, it, vi } from 'vitest';
import { ended, startGuarded } from './guarded-trial.ts';

const eventually = { timeout: 15_000, interval: 10 };

afterEach(() => void vi.useRealTimers());

describe('guardrails by evidence', () => {
  it('pull what fails every request after three, and say nothing of two', async () => {
    await using up = await startGuarded({ errorRate: { max: 0.05 } });
    await up.count(ended(2, 2), ended(10, 0));
    expect(await up.pulled()).toEqual([]);
    await up.count(ended(1, 1), {});
    await vi.waitFor(() => expect(up.gateway.table?.split?.pulled).toEqual(['2.0-a']), eventually);
    expect(await up.pulled()).toEqual(['2.0-a: 3 of 3 requests failed, allowed are 5 %']);
  });

  it('do not blame a slow version for its quick failures: what is under way has not failed', async () => {
    await using up = await startGuarded({ errorRate: { max: 0.05 } });
    // Of a thousand requests thirty failed at once; the others take their time.
    await up.count({ requests: 1000, failed: 30 }, ended(100, 0));
    await up.count({ succeeded: 970 }, {});
    expect(await up.pulled()).toEqual([]);
  });

  it('count what is in flight at an HAProxy, which counts a request when it is answered', async () => {
    await using up = await startGuarded({ errorRate: { max: 0.05 } }, 'haproxy');
    up.gateway.inFlight = { l1: 970 };
    await up.count(ended(30, 30), ended(100, 0));
    expect(await up.pulled()).toEqual([]);
    up.gateway.inFlight = {};
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
  });

  it('do not judge below the floor of the plan', async () => {
    await using up = await startGuarded({ errorRate: { max: 0.05, minRequests: 20 } });
    await up.count(ended(19, 19), {});
    expect(await up.pulled()).toEqual([]);
    await up.count(ended(1, 0), {});
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
  });

  it('pull what fails more often than the baseline, and learn on over a restart of the controller', async () => {
    await using up = await startGuarded({ errorsAgainstBaseline: { times: 2 } });
    for (let block = 0; block < 3; block++) await up.count(ended(200, 20), ended(1000, 10));
    await up.restart();
    for (let block = 0; block < 3; block++) await up.count(ended(200, 20), ended(1000, 10));
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect((await up.pulled())[0]).toMatch(/more than 2 times as many as the baseline's/);
  });

  it('know after a restart of the controller what failed late, after a long good past', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using up = await startGuarded({ errorRate: { max: 0.05 } });
    await up.count(ended(20_000, 0), ended(100_000, 0));
    // From now on evidence is begun once more.
    vi.setSystemTime(Date.now() + 1_000);
    await up.count({}, {});
    await up.count(ended(100, 15), ended(500, 0));
    expect(await up.pulled()).toEqual([]);
    await up.restart();
    expect(await up.pulled()).toEqual([]);
    await up.count(ended(100, 17), ended(500, 0));
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect(await up.pulled()).toEqual(['2.0-a: 32 of the last 200 requests failed, allowed are 5 %']);
  });

  it('do not learn the same twice when the controller is restarted', async () => {
    const of = (requests: number, volumeCount: number) => ({
      ...ended(requests, 0),
      ...{ allocated: requests, volumeCount },
    });
    await using up = await startGuarded({ lossBudget: 40 });
    await up.count({}, {});
    for (let block = 0; block < 2; block++) await up.count(of(100, 5), of(900, 180));
    // Lost so far: 2 · (100 · 180/900 − 5) = 30.
    for (let start = 0; start < 3; start++) {
      await up.restart();
      await up.count({}, {});
    }
    expect(await up.pulled()).toEqual([]);
    await up.count(of(100, 5), of(900, 180));
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect(await up.pulled()).toEqual(['2.0-a: about 45 lost against the baseline, the budget is 40']);
  });

  it('hold transactions under way for nothing lost', async () => {
    await using up = await startGuarded({ lossBudget: 10 });
    await up.count({}, {});
    await up.count({ requests: 500, allocated: 500 }, { ...ended(900, 0), allocated: 900, volumeCount: 180 });
    expect(await up.pulled()).toEqual([]);
  });
});

describe('an incident of the environment', () => {
  it('pulls nobody, is told and kept, and ends when the baseline is well; what it did is nobody’s', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using up = await startGuarded({ errorRate: { max: 0.05 } });
    await up.count(ended(1000, 0), ended(10_000, 0));
    await up.count(ended(200, 200), ended(40, 40));
    const { incident } = await up.traffic();
    expect(incident).toMatchObject({
      reason: expect.stringMatching(/2.0-a: 200 of 1200 .*It is the environment/),
      since: expect.any(String),
    });
    await up.restart();
    expect((await up.traffic()).incident).toEqual(incident);
    expect(await up.pulled()).toEqual([]);

    await up.count(ended(10, 0), ended(100, 0));
    expect((await up.traffic()).incident).toEqual(incident);
    vi.advanceTimersByTime(11_000);
    await up.count({}, {});
    await up.count(ended(10, 0), ended(100, 0));
    await vi.waitFor(async () => expect((await up.traffic()).incident).toBeUndefined(), eventually);
    expect(await up.pulled()).toEqual([]);
    // It is guarded again, by what happens from now on.
    await up.count(ended(20, 20), ended(100, 0));
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect((await up.pulled())[0]).toMatch(/^2.0-a: 20 of (20|30) requests failed/);
  });

  it('is seen by a controller that was away when it began: nobody is pulled for it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await using up = await startGuarded({ errorRate: { max: 0.05 } });
    await up.count(ended(20_000, 0), ended(100_000, 0));
    vi.setSystemTime(Date.now() + 1_000);
    await up.count({}, {});
    await up.restart([ended(200, 120), ended(1000, 600)]);
    await up.count({}, {});
    expect((await up.traffic()).incident?.reason).toMatch(/120 of the last 200 .*the baseline: 600 of 1000/);
    expect(await up.pulled()).toEqual([]);
  });

  it('does not clear a candidate that does worse than the baseline', async () => {
    await using up = await startGuarded({ errorRate: { max: 0.05 }, errorsAgainstBaseline: { times: 2 } });
    await up.count({}, {});
    for (let block = 0; block < 6; block++) await up.count(ended(200, 180), ended(200, 30));
    await vi.waitFor(async () => expect(await up.pulled()).toHaveLength(1), eventually);
    expect((await up.pulled())[0]).toMatch(/^2.0-a: \d+ of \d+ requests failed/);
  });
});

describe('a candidate of which nothing is heard', () => {
  it('is told: no pass, and nobody is pulled', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await using up = await startGuarded({ errorRate: { max: 0.05 }, noDataMs: 30_000 });
    await up.count(ended(10, 0), ended(100, 0));
    expect((await up.traffic()).notices).toBeUndefined();
    await up.count(ended(1, 0), {});
    vi.advanceTimersByTime(31_000);
    expect((await up.traffic()).notices).toEqual([
      { release: '2.0-a', kind: 'stuck', reason: expect.stringContaining('stand still') },
      { release: '2.0-b', kind: 'stuck', reason: expect.stringContaining('stand still') },
    ]);
    await up.gateway.stop();
    vi.advanceTimersByTime(31_000);
    expect((await up.traffic()).notices).toMatchObject([
      { release: '2.0-a', kind: 'noData', reason: expect.stringContaining('not read') },
      { release: '2.0-b', kind: 'noData' },
    ]);
    expect(await up.pulled()).toEqual([]);
  });
});
