import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { UnitCount } from '../../src/protocol/gateway.ts';
import { GatewayFixture } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';
import {
  BY_AGE,
  inOrder,
  serversOfReleases,
  settled,
  splitOfPlan,
  tableOfPlan,
  unitsIn,
  wantedAmount,
} from './three-releases.ts';

/** Longer than any machine takes to send all; clocks are put ahead by it, in milliseconds. */
const WINDOW_MS = 3_600_000;

const PATIENT = { what: 'all accounts are settled', timeoutMs: 30_000 };

interface Trial {
  readonly measure: PlanInput['measure'];
  readonly cap?: number;
  readonly control: boolean;
  readonly traffic?: Partial<PlanInput['traffic']>;
}

const MEASURES: Readonly<Record<string, Trial>> = {
  'visits that succeed': {
    measure: { allocated: { path: '/look' }, volume: { kind: 'successes', match: { status: '201' } } },
    control: true,
  },
  'clicks, without a control arm': {
    measure: { allocated: {}, volume: { kind: 'clicks', match: { path: '/buy' } } },
    cap: 3,
    control: false,
  },
  amounts: {
    measure: {
      allocated: { path: '/look' },
      volume: { kind: 'amount', match: { path: '/buy', status: '2xx' }, amountHeader: 'x-amount' },
    },
    cap: 49.9,
    control: true,
  },
  'visits by group': {
    measure: { allocated: { path: '/look' }, volume: { kind: 'successes', match: { status: '201' } } },
    control: true,
    traffic: BY_AGE,
  },
};

/** The same for whoever asks: each account looks and buys, some have none, and what comes of it differs. */
async function customers(url: string, accounts: { from: number; to: number }): Promise<void> {
  const visits = Array.from({ length: accounts.to - accounts.from }, async (_, index) => {
    const i = accounts.from + index;
    for (const [step, path] of ['/look', '/buy', i % 3 === 0 ? '/buy' : '/look'].entries()) {
      const response = await request(`${url}${path}`, {
        headers: {
          'x-age': String(10 + (i % 50)),
          ...(i % 11 === 0 ? {} : { 'x-account': String((i * 7_919) % 10_007) }),
          'x-status': String([201, 200, 201, 404, 500, 201, 201][(i + step) % 7]),
          ...((i + step) % 4 === 0
            ? {}
            : { 'x-want': (((i * 37 + step) % 90) - 10 + (i % 100) / 100).toFixed(2) }),
        },
      });
      await response.body.dump();
    }
  });
  await Promise.all(visits);
}

function expectAlike(theirs: readonly UnitCount[], ours: readonly UnitCount[]): void {
  expect(theirs.map(unitsIn)).toEqual(ours.map(unitsIn));
  theirs.forEach(({ sum, squares, uncapped }, index) => {
    expect(sum).toBeCloseTo(ours[index]?.sum ?? NaN, 6);
    expect(squares).toBeCloseTo(ours[index]?.squares ?? NaN, 6);
    expect(uncapped).toBeCloseTo(ours[index]?.uncapped ?? NaN, 6);
  });
}

describe.concurrent(
  'accounts of the same requests are the same from HAProxy and from the embedded gateway',
  { timeout: 60_000 },
  () => {
    it.for(Object.entries(MEASURES))('%s', async ([, { measure, cap, control, traffic = {} }], test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const servers = await serversOfReleases(wantedAmount);
      const plan = planFor(servers, {
        measure,
        traffic,
        decision: { unit: 'account', ...(cap === undefined ? {} : { cap }) },
      });
      await using haproxy = await HaproxyFixture.start(plan);
      const counting: TrialCounting = {
        unit: 'account',
        control,
        timeoutMs: 60_000,
        windowMs: WINDOW_MS,
        ...(cap === undefined ? {} : { cap }),
      };
      const table = (version: number, changes: Partial<TrafficSplit>): RouteTable =>
        tableOfPlan(plan, servers, { version, split: splitOfPlan(plan, { counting, ...changes }) });
      let passed = 0;
      await using embedded = await GatewayFixture.start(table(1, {}), {
        upstreams: servers,
        now: () => performance.now() + passed,
      });
      await haproxy.admin.publish(table(1, {}), {});
      const both = (accounts: { from: number; to: number }): Promise<unknown> =>
        Promise.all([embedded.url, haproxy.url].map((url) => customers(url, accounts)));
      await haproxy.handsOn();
      await both({ from: 0, to: 40 });
      // What an account's requests came to so far goes on in the process that replaces this one.
      await haproxy.reloaded();
      await Promise.all([embedded, haproxy].map(({ admin }) => admin.publish(table(2, {}), {})));
      await both({ from: 20, to: 60 });
      passed += WINDOW_MS;
      haproxy.aheadMs = WINDOW_MS;
      const [ours, theirs] = await Promise.all(
        [embedded, haproxy].map(async ({ admin }) =>
          inOrder(
            await settled(admin, (counts) => counts.some(({ tableVersion }) => tableVersion === 2), PATIENT),
          ),
        ),
      );
      expectAlike(theirs ?? [], ours ?? []);
      expect(theirs?.length).toBeGreaterThan(3);
      const groups = new Set(theirs?.map(({ group }) => group));
      expect([...groups].sort()).toEqual(
        traffic.account === undefined ? ['all'] : ['range:18..35', 'range:35..'],
      );
      // Whoever entered does not enter again, whatever HAProxy forgets: it is killed, and so is its companion.
      await haproxy.companion.close();
      await haproxy.haproxy.kill();
      haproxy.haproxy.start();
      await haproxy.waitForHaproxy();
      await haproxy.startCompanion();
      const third = table(3, { share: 0.4 });
      await Promise.all([embedded, haproxy].map(({ admin }) => admin.publish(third, {})));
      haproxy.aheadMs = 0;
      await both({ from: 40, to: 80 });
      passed += WINDOW_MS;
      haproxy.aheadMs = WINDOW_MS;
      const grown =
        (before: readonly UnitCount[]) =>
        (counts: readonly UnitCount[]): boolean =>
          counts.reduce((sum, { n }) => sum + n, 0) > before.reduce((sum, { n }) => sum + n, 0);
      const [later, laterTheirs] = await Promise.all([
        settled(embedded.admin, grown(ours ?? []), PATIENT),
        settled(haproxy.admin, grown(theirs ?? []), PATIENT),
      ]);
      expectAlike(inOrder(laterTheirs), inOrder(later));
    });
  },
);
