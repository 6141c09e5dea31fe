import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import { GatewayFixture } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';
import {
  inOrder,
  serversOfReleases,
  settled,
  splitOfPlan,
  tableOfPlan,
  unitsIn,
  wantedAmount,
} from './three-releases.ts';

interface Trial {
  readonly measure: PlanInput['measure'];
  readonly cap?: number;
  readonly traffic?: Partial<PlanInput['traffic']>;
}

const MEASURES: Readonly<Record<string, Trial>> = {
  successes: {
    measure: { allocated: { path: '/buy' }, volume: { kind: 'successes', match: { status: '201' } } },
  },
  clicks: { measure: { allocated: {}, volume: { kind: 'clicks', match: { path: '/buy' } } }, cap: 20 },
  amounts: {
    measure: {
      allocated: { path: '/buy' },
      volume: { kind: 'amount', match: { status: '2xx' }, amountHeader: 'x-amount' },
    },
    cap: 49.9,
  },
  'successes by group': {
    measure: { allocated: { path: '/buy' }, volume: { kind: 'successes', match: { status: '201' } } },
    traffic: {
      key: { from: 'header', name: 'x-age' },
      account: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'range',
        rules: [
          { below: 18, to: '1.0' },
          { from: 18, below: 35, to: { '2.0-a': 1, '2.0-b': 1 } },
          { from: 35, to: { '2.0-a': 1, '2.0-b': 3, '1.0': 1 } },
        ],
      },
    },
  },
};
/** A capped amount is cut to a 65,536th of the cap by HAProxy. */
const CUT = 1 / 65_536;

/** The same for whoever asks: accounts, some without, what they do, and what comes of it. */
async function customers(url: string): Promise<void> {
  for (let i = 0; i < 150; i += 1) {
    const response = await request(`${url}${i % 5 === 0 ? '/look' : '/buy'}`, {
      headers: {
        'x-age': String(10 + (i % 50)),
        ...(i % 11 === 0 ? {} : { 'x-account': String((i * 7_919) % 10_007) }),
        'x-status': String([201, 200, 201, 404, 500, 201, 201][i % 7]),
        ...(i % 3 === 0 ? {} : { 'x-want': (((i * 37) % 90) - 10 + (i % 100) / 100).toFixed(2) }),
      },
    });
    await response.body.dump();
  }
}

describe.concurrent(
  'units of the same requests are the same from HAProxy and from the embedded gateway',
  () => {
    it.for(Object.entries(MEASURES))('%s', async ([, { measure, cap, traffic = {} }], test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const servers = await serversOfReleases(wantedAmount);
      const plan = planFor(servers, {
        measure,
        traffic,
        decision: { unit: 'request', ...(cap === undefined ? {} : { cap }) },
      });
      await using haproxy = await HaproxyFixture.start(plan);
      const counting: TrialCounting = {
        unit: 'request',
        control: true,
        timeoutMs: 60_000,
        windowMs: 0,
        ...(cap === undefined ? {} : { cap }),
      };
      const table = (version: number, changes: Partial<TrafficSplit>): RouteTable =>
        tableOfPlan(plan, servers, { version, split: splitOfPlan(plan, { counting, ...changes }) });
      await using embedded = await GatewayFixture.start(table(1, { share: 0.4 }), { upstreams: servers });
      await haproxy.admin.publish(table(1, { share: 0.4 }), {});
      for (const next of [table(2, {}), table(3, { pulled: ['2.0-a'] }), null]) {
        await Promise.all([customers(embedded.url), customers(haproxy.url)]);
        if (next === null) break;
        await Promise.all([embedded, haproxy].map(({ admin }) => admin.publish(next, {})));
      }
      const [ours = [], theirs = []] = await Promise.all(
        [embedded, haproxy].map(async ({ admin }) =>
          inOrder(await settled(admin, (counts) => counts.some(({ tableVersion }) => tableVersion === 3))),
        ),
      );
      expect(theirs.map(unitsIn)).toEqual(ours.map(unitsIn));
      expect(theirs.length).toBeGreaterThan(5);
      const groups = new Set(ours.map(({ group }) => group));
      expect([...groups].sort()).toEqual(
        traffic.account === undefined ? ['all'] : ['range:18..35', 'range:35..'],
      );
      theirs.forEach(({ n, sum, squares, uncapped }, index) => {
        expect(Math.abs(sum - (ours[index]?.sum ?? NaN))).toBeLessThanOrEqual(n * CUT);
        expect(Math.abs(squares - (ours[index]?.squares ?? NaN))).toBeLessThanOrEqual(n * 2 * CUT);
        expect(uncapped).toBeCloseTo(ours[index]?.uncapped ?? NaN, 6);
      });
    });
  },
);
