import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { TrafficCount } from '../../src/domain/measure.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { isAllotted } from '../../src/domain/policy/allotment.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { TrafficGateway } from '../../src/ports/traffic-gateway.ts';
import type { GatewayStats } from '../../src/protocol/gateway.ts';
import { GatewayFixture, serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

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

/** Transactions of this round and of those before, each by one account (some have none), step by step. */
async function round(url: string, number: number): Promise<void> {
  const steps = Array.from({ length: number + 1 }, (_, begun) =>
    Array.from({ length: 24 }, async (_each, i) => {
      const response = await request(`${url}${i % 4 === 3 ? '/look' : '/buy'}`, {
        headers: {
          'x-transaction': `${begun}-${i}`,
          ...(i % 8 === 7 ? {} : { 'x-account': String((i * 7_919 + begun) % 10_007) }),
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

async function settled(admin: TrafficGateway, version: number): Promise<GatewayStats> {
  let stats = await admin.stats({});
  await until(
    async () => {
      stats = await admin.stats({});
      const { pending, counts = [] } = stats.units ?? {};
      return pending === 0 && counts.some(({ tableVersion }) => tableVersion >= version);
    },
    'all units are settled',
    30_000,
  );
  return stats;
}

function unitsOf({ units }: GatewayStats): unknown {
  return [...(units?.counts ?? [])]
    .sort((a, b) => a.tableVersion - b.tableVersion || (a.release < b.release ? -1 : 1))
    .map(({ tableVersion, release, n, sum, uncapped }) => [tableVersion, release, n, sum, uncapped]);
}

describe.concurrent('requests of transactions that stay where they began', () => {
  it.for(Object.values(COUNTING))(
    'count the same at HAProxy and at the embedded gateway, by $unit (invariant 5)',
    { timeout: 60_000 },
    async (counting, test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      const servers = await Promise.all(
        ['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()),
      );
      for (const server of servers)
        server.handler = (req, res) => {
          answer(res, Number(req.headers['x-status'] ?? 200), server.name, {
            'x-amount': String(req.headers['x-want'] ?? 0),
          });
        };
      const plan = planFor(servers, {
        measure: MEASURE,
        decision: { unit: counting.unit, cap: 16 },
        traffic: { transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '60s' } },
      });
      await using haproxy = await HaproxyFixture.start(plan);
      const releases = ['1.0', '2.0-a', '2.0-b'];
      const table = (version: number, changes: Partial<TrafficSplit> | null): RouteTable =>
        tableOf(
          servers.map((server, index) => serverOf(server, { release: releases[index] ?? '' })),
          {
            version,
            mainRelease: '1.0',
            measure: plan.measure,
            transactions: plan.traffic.transactions ?? null,
            split:
              changes === null
                ? null
                : {
                    key: plan.traffic.key,
                    policy: plan.traffic.policy,
                    withoutKey: '1.0',
                    baseline: '1.0',
                    share: 1,
                    salt: 'trial-1',
                    pulled: [],
                    counting,
                    ...changes,
                  },
          },
        );
      let passed = 0;
      await using embedded = await GatewayFixture.start(table(1, null), {
        upstreams: servers,
        now: () => performance.now() + passed,
      });
      await haproxy.admin.publish(table(1, null), {});
      const tables = [table(2, { share: 0.4 }), table(3, {}), table(4, { pulled: ['2.0-a'] }), null];
      for (const [number, next] of tables.entries()) {
        await Promise.all([embedded.url, haproxy.url].map((url) => round(url, number)));
        if (next === null) break;
        await Promise.all([embedded, haproxy].map(({ admin }) => admin.publish(next, {})));
      }
      if (counting.unit === 'account') passed = haproxy.aheadMs = WINDOW_MS;
      const [ours, theirs] = await Promise.all([settled(embedded.admin, 4), settled(haproxy.admin, 4)]);
      expect(business(theirs.counts)).toEqual(business(ours.counts));
      expect(Object.keys(business(ours.counts) as object)).toEqual(
        expect.arrayContaining(['1.0 allotted', '1.0 otherwise', '2.0-a allotted', '2.0-b allotted']),
      );
      expect(unitsOf(theirs)).toEqual(unitsOf(ours));
    },
  );
});
