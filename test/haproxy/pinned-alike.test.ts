import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { TrafficCount } from '../../src/domain/measure.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { isAllotted } from '../../src/domain/policy/allotment.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { TrafficGateway } from '../../src/ports/traffic-gateway.ts';
import type { GatewayStats, UnitCount } from '../../src/protocol/gateway.ts';
import { GatewayFixture } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';
import { inOrder, serversOfReleases, settled, splitOfPlan, tableOfPlan } from './three-releases.ts';

const MEASURE: PlanInput['measure'] = {
  allocated: { path: '/buy' },
  volume: { kind: 'amount', match: { path: '/buy', status: '201' }, amountHeader: 'x-amount' },
};
/** Longer than any machine takes to send all; clocks are put ahead by it, in milliseconds. */
const WINDOW_MS = 3_600_000;
const COUNTING: Record<TrialCounting['unit'], TrialCounting> = {
  request: { unit: 'request', control: true, timeoutMs: 60_000, windowMs: 0, cap: 16 },
  account: { unit: 'account', control: true, timeoutMs: 60_000, windowMs: WINDOW_MS, cap: 16 },
};

/** After so many rounds, the accounts of the first one begin transactions beside those that they have. */
const ROUNDS_OF_NEW = 4;

/** Transactions of this round and of those before, each by one account (some have none), step by step. */
async function round(url: string, number: number): Promise<void> {
  const steps = Array.from({ length: number + 1 }, (_, begun) =>
    Array.from({ length: 24 }, async (_each, i) => {
      const response = await request(`${url}${i % 4 === 3 ? '/look' : '/buy'}`, {
        headers: {
          'x-transaction': `${begun}-${i}`,
          ...(i % 8 === 7 ? {} : { 'x-account': String((i * 7_919 + (begun % ROUNDS_OF_NEW)) % 10_007) }),
          'x-status': i % 5 === 0 ? '500' : '201',
          'x-want': String(1 + (i % 16)),
        },
      });
      await response.body.dump();
    }),
  );
  await Promise.all(steps.flat());
}

/** What counts as business, by release and by whether the policy sent it there. */
function business(counts: readonly TrafficCount[]): unknown {
  const sums = new Map<string, number[]>();
  for (const count of counts) {
    const key = `${count.release} ${isAllotted(count.bucket) ? 'allotted' : 'otherwise'}`;
    const { requests, allocated, succeeded, serverErrors, volumeCount, volumeAmount } = count;
    const added = [requests, allocated, succeeded, serverErrors, volumeCount, volumeAmount];
    const before = sums.get(key) ?? added.map(() => 0);
    sums.set(
      key,
      added.map((value, index) => value + (before[index] ?? 0)),
    );
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function shown({ tableVersion, release, n, sum, uncapped, passed }: UnitCount): unknown {
  return [tableVersion, release, n, sum, uncapped, passed];
}

describe.concurrent('requests of transactions that stay where they began', () => {
  it.for(Object.values(COUNTING))(
    'count the same at HAProxy and at the embedded gateway, by $unit (invariant 5)',
    { timeout: 60_000 },
    async (counting, test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const servers = await serversOfReleases(({ headers }) => ({
        'x-amount': String(headers['x-want'] ?? 0),
      }));
      const plan = planFor(servers, {
        measure: MEASURE,
        decision: { unit: counting.unit, cap: 16 },
        traffic: { transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '60s' } },
      });
      await using haproxy = await HaproxyFixture.start(plan);
      const table = (version: number, changes: Partial<TrafficSplit> | null): RouteTable =>
        tableOfPlan(plan, servers, {
          version,
          mainRelease: '1.0',
          transactions: plan.traffic.transactions ?? null,
          split: changes === null ? null : splitOfPlan(plan, { counting, ...changes }),
        });
      let passed = 0;
      await using embedded = await GatewayFixture.start(table(1, null), {
        upstreams: servers,
        now: () => performance.now() + passed,
      });
      await haproxy.admin.publish(table(1, null), {});
      const tables = [
        ...[table(2, { share: 0.4 }), table(3, {}), table(4, { pulled: ['2.0-a'] }), table(5, {})],
        null,
      ];
      for (const [number, next] of tables.entries()) {
        await Promise.all([embedded.url, haproxy.url].map((url) => round(url, number)));
        if (next === null) break;
        await Promise.all([embedded, haproxy].map(({ admin }) => admin.publish(next, {})));
      }
      if (counting.unit === 'account') passed = haproxy.aheadMs = WINDOW_MS;
      const last = (admin: TrafficGateway): Promise<GatewayStats> =>
        settled(admin, (counts) => counts.some(({ tableVersion }) => tableVersion >= 5), {
          timeoutMs: 30_000,
        });
      const [ours, theirs] = await Promise.all([last(embedded.admin), last(haproxy.admin)]);
      expect(business(theirs.counts)).toEqual(business(ours.counts));
      expect(Object.keys(business(ours.counts) as object)).toEqual(
        expect.arrayContaining(['1.0 allotted', '1.0 otherwise', '2.0-a allotted', '2.0-b allotted']),
      );
      expect(inOrder(theirs).map(shown)).toEqual(inOrder(ours).map(shown));
    },
  );
});
