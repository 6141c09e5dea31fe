import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { openDifferences } from '../../src/controller/block-differences.ts';
import { uncheckedWhereMoved } from '../../src/domain/decision/moved.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { GatewayStats, UnitCount } from '../../src/protocol/gateway.ts';
import { GatewayFixture, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';
import { BY_AGE, inOrder, serversOfReleases, settled, splitOfPlan, tableOfPlan } from './three-releases.ts';

/** Longer than any machine takes to send all; clocks are put ahead by it, in milliseconds. */
const WINDOW_MS = 3_600_000;
const PATIENT = { what: 'all accounts are settled', timeoutMs: 30_000 };

interface Trial {
  readonly control: boolean;
  readonly share: number;
  readonly traffic: Partial<PlanInput['traffic']>;
}

const HASH: Trial['traffic'] = {
  policy: { kind: 'hash', salt: 's', weights: { '1.0': 1, '2.0-a': 1, '2.0-b': 1 } },
};
const TRIALS: Readonly<Record<string, Trial>> = {
  'of a hash': { control: true, share: 1, traffic: HASH },
  'of a stage of it': { control: true, share: 0.5, traffic: HASH },
  'without a control arm': { control: false, share: 0.5, traffic: {} },
  'by group': {
    control: true,
    share: 0.7,
    traffic: BY_AGE,
  },
};

/** Each account looks around, then visits twice; some visitors have none. What comes of it is another thing each time. */
async function visitors(url: string, accounts: { from: number; to: number }): Promise<void> {
  const visits = Array.from({ length: accounts.to - accounts.from }, async (_, index) => {
    const i = accounts.from + index;
    for (const path of ['/look', '/visit', '/visit']) {
      const response = await request(`${url}${path}`, {
        headers: {
          'x-age': String(10 + (i % 50)),
          ...(i % 11 === 0 ? {} : { 'x-account': String((i * 7_919) % 10_007) }),
          'x-status': index % 3 === 0 ? '500' : '201',
        },
      });
      await response.body.dump();
    }
  });
  await Promise.all(visits);
}

function shown({ tableVersion, release, group, n, sum, passed }: UnitCount): unknown {
  return { tableVersion, release, group, n, sum, passed };
}

function sumsOf({ units }: GatewayStats): { n: number; passed: number } {
  const sum = { n: 0, passed: 0 };
  for (const { n, passed = 0 } of units?.counts ?? []) {
    sum.n += n;
    sum.passed += passed;
  }
  return sum;
}

/** The same routes at both gateways, and what each said in the end. */
async function bothOf({ control, share, traffic }: Trial) {
  const servers = await serversOfReleases(() => ({}));
  const plan = planFor(servers, {
    measure: { allocated: { path: '/visit' }, volume: { kind: 'successes', match: { status: '201' } } },
    traffic,
    decision: { unit: 'account' },
  });
  const haproxy = await HaproxyFixture.start(plan);
  const counting: TrialCounting = { unit: 'account', control, timeoutMs: 60_000, windowMs: WINDOW_MS };
  const table = (
    version: number,
    changes: Partial<TrafficSplit>,
    { without = [] }: { without?: readonly string[] } = {},
  ): RouteTable => {
    const found = tableOfPlan(plan, servers, {
      version,
      split: splitOfPlan(plan, { counting, share, ...changes }),
    });
    const closed = { ingress: 'closed' } as const;
    return {
      ...found,
      servers: found.servers.map((server) =>
        without.includes(server.release) ? { ...server, ...closed } : server,
      ),
    };
  };
  let aheadMs = 0;
  const embedded = await GatewayFixture.start(table(1, {}), {
    upstreams: servers,
    now: () => performance.now() + aheadMs,
  });
  await haproxy.admin.publish(table(1, {}), {});
  const gateways = [embedded, haproxy] as const;
  return {
    ...{ servers, embedded, haproxy, table },
    publish: (next: RouteTable) => Promise.all(gateways.map(({ admin }) => admin.publish(next, {}))),
    come: (accounts: { from: number; to: number }) =>
      Promise.all(gateways.map(({ url }) => visitors(url, accounts))),
    /** From now on, all windows so far are over, or all begin now. */
    windowsAreOver(over: boolean) {
      if (over) aheadMs += WINDOW_MS;
      haproxy.aheadMs = over ? WINDOW_MS : 0;
    },
    alike: async (isThere: (counts: readonly UnitCount[]) => boolean): Promise<GatewayStats> => {
      const [ours, theirs] = await Promise.all([
        settled(embedded.admin, isThere, PATIENT),
        settled(haproxy.admin, isThere, PATIENT),
      ]);
      expect(inOrder(theirs).map(shown)).toEqual(inOrder(ours).map(shown));
      return theirs;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(gateways.map((gateway) => gateway[Symbol.asyncDispose]()));
    },
  };
}

describe.concurrent(
  'accounts that were turned away are the same at HAProxy and at the embedded gateway',
  { timeout: 60_000 },
  () => {
    it.for(Object.entries(TRIALS))('%s', async ([, trial], test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      await using both = await bothOf(trial);
      const { haproxy, table } = both;
      await haproxy.handsOn();
      await both.come({ from: 0, to: 40 });
      await both.publish(table(2, {}, { without: ['2.0-b'] }));
      await both.come({ from: 20, to: 60 });
      // Who was turned away is known to the process that replaces this one.
      await haproxy.reloaded();
      await both.publish(table(3, {}));
      await both.come({ from: 40, to: 80 });
      await both.publish(table(4, { pulled: ['2.0-a'] }));
      await both.come({ from: 60, to: 100 });
      both.windowsAreOver(true);
      const first = await both.alike((counts) => counts.some(({ tableVersion }) => tableVersion === 4));
      const before = sumsOf(first);
      expect(before.n).toBeGreaterThan(20);
      expect(before.passed).toBeGreaterThan(2);
      // For good: over a companion and an HAProxy that were killed, for a version that is back, and when the stage grows.
      await haproxy.companion.close();
      await haproxy.haproxy.kill();
      haproxy.haproxy.start();
      await haproxy.waitForHaproxy();
      await haproxy.startCompanion();
      both.windowsAreOver(false);
      await both.publish(table(5, { share: 1 }));
      await both.come({ from: 0, to: 120 });
      both.windowsAreOver(true);
      const last = await both.alike((counts) => counts.some(({ tableVersion }) => tableVersion === 5));
      expect(sumsOf(last).n).toBeGreaterThan(before.n);
      expect(sumsOf(last).passed).toBe(before.passed);
    });

    it('of a version whose server is down', async (test) => {
      requireComponent('HAProxy', HAPROXY !== null, test);
      await using both = await bothOf({ control: true, share: 1, traffic: HASH });
      const [, , server] = both.servers;
      await both.come({ from: 0, to: 20 });
      await server?.close();
      await until(async () => {
        const { servers } = await both.haproxy.admin.stats({});
        return servers.some(({ name, healthy }) => name === server?.name && !healthy);
      }, 'HAProxy finds the server down');
      await both.come({ from: 20, to: 60 });
      await server?.listen();
      await until(async () => {
        const all = await Promise.all([both.embedded, both.haproxy].map(({ admin }) => admin.stats({})));
        return all.every(({ servers }) => servers.every(({ healthy }) => healthy));
      }, 'both find it up');
      await both.come({ from: 40, to: 80 });
      both.windowsAreOver(true);
      const stats = await both.alike((counts) => counts.some(({ passed = 0 }) => passed > 0));
      const { epoch, counts, units = null } = stats;
      expect(units?.counts.find(({ release }) => release === '2.0-b')?.passed).toBeGreaterThan(5);
      // The split can be checked with them.
      const read = { epochs: [{ epoch, counts, ...(units === null ? {} : { units }) }], closed: [] };
      const { blocks } = openDifferences({ 'gw-1': read }, 'trial-1', new Map());
      const timed = blocks.map((block) => ({ ...block, fromMs: 0, toMs: 1 }));
      expect(timed).toHaveLength(1);
      expect(uncheckedWhereMoved({ unit: 'account' }, timed, true)).toEqual(timed);
    });
  },
);
