import { describe, expect, test } from 'vitest';
import { openSource } from '../../src/activities/source-reading.ts';
import { beginRule } from '../../src/domain/decision/rule.ts';
import type { RuleProgress } from '../../src/domain/decision/rule-reading.ts';
import { ruleSpecOf } from '../../src/domain/decision/spec-of.ts';
import type { MetricsReading } from '../../src/domain/decision/source-block.ts';
import type { TrafficAnswer } from '../../src/protocol/controller.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';
import { splitOf } from '../../src/domain/upgrade/route-changes.ts';
import { InMemoryWorld } from '../support/in-memory-world.ts';

const plan = examplePlan({
  trial: { stages: [{ share: '50%', length: '1m' }], readEvery: '1s', baselineShare: '10%' },
  decision: { rule: 'anytime', unit: 'request' },
  measure: {
    volume: { kind: 'successes', match: {} },
    source: { from: 'http', url: 'https://counts.example.com' },
  },
});
const spec = ruleSpecOf(plan);
const LATE_MS = 60_000;

/** A source that tells nothing of the past, and a world whose routes a test changes. */
function setUp() {
  const world = new InMemoryWorld(plan);
  const { registry, observatory } = world.dependencies();
  const deal = (version: number): void => {
    const servers = world.table.servers.map((server, index) => ({
      ...server,
      release: ['1.4', '2.0-a', '2.0-b'][index % 3] ?? '1.4',
    }));
    world.table = { ...world.table, servers, version, split: splitOf(plan, 0.5, 'trial') };
  };
  const counts = { n: 0 };
  const metrics = () => ({
    delayMs: null,
    read: ({ arms, until }: { arms: readonly string[]; until: string }): Promise<MetricsReading> => {
      counts.n += 10;
      const each = Object.fromEntries(arms.map((arm) => [arm, { n: counts.n, sum: 0 }]));
      return Promise.resolve({ at: until, arms: each, notes: [] });
    },
  });
  /** When the last change of the routes became active. */
  const routes: { activeSince?: string } = {};
  const status = async (service: string) => ({ ...(await registry.status(service)), ...routes });
  const open = (progress: RuleProgress) =>
    openSource(
      { registry: { ...registry, status }, observatory, metrics },
      { ...{ service: plan.service, spec, source: plan.measure.source!, progress }, lateMs: LATE_MS },
      new AbortController().signal,
    );
  const traffic = (): Promise<TrafficAnswer> => observatory.traffic(plan.service);
  return { world, deal, open, traffic, routes };
}

/** Moments are told apart by the millisecond. */
const later = () => new Promise((resolve) => setTimeout(resolve, 3));

describe('a source that tells what is counted now', () => {
  test('is read at each change of the routes, so that every block is of one table', async () => {
    const { deal, open, traffic } = setUp();
    let progress: RuleProgress = { state: beginRule(spec), after: 0 };
    deal(7);
    const one = open(progress);
    await one.note(await traffic());
    await later();
    await one.read();
    const first = one.found();
    expect(first.blocks).toMatchObject([
      { number: 1, tableVersion: 7, groups: { all: { '1.4': { n: 10 } } } },
    ]);

    progress = { ...progress, after: 1, source: first.progress! };
    deal(8);
    const two = open(progress);
    await later();
    await two.note(await traffic());
    await later();
    await two.read();
    const second = two.found();
    expect(second.blocks).toMatchObject([
      { number: 2, tableVersion: 8, groups: { all: { '1.4': { n: 10 } } } },
    ]);
    expect(second.progress?.discarded?.stretches).toBe(1);
    expect(second.remarks.join()).toMatch(/^Left out: 1 stretch/);
  });

  test('compares its requests with those that the gateways allotted meanwhile', async () => {
    const { deal, open, traffic } = setUp();
    deal(7);
    const source = open({ state: beginRule(spec), after: 0 });
    await source.note(await traffic());
    await later();
    await source.read();
    const third = expect.closeTo(1 / 3);
    expect(source.found().blocks[0]?.shares).toEqual({ '1.4': third, '2.0-a': third, '2.0-b': third });
  });

  test('waits until every gateway executes the routes', async () => {
    const { world, deal, open, traffic } = setUp();
    deal(7);
    world.isDeaf = () => true;
    const source = open({ state: beginRule(spec), after: 0 });
    await source.note(await traffic());
    await source.read();
    expect(source.found()).toMatchObject({ blocks: [], isBegun: false });
    world.isDeaf = () => false;
    await source.note(await traffic());
    expect(source.found()).toMatchObject({ blocks: [], isBegun: true });
  });

  test('waits for what began before the change to end', async () => {
    const { deal, open, traffic, routes } = setUp();
    deal(7);
    const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();
    const source = open({ state: beginRule(spec), after: 0 });
    routes.activeSince = ago(LATE_MS / 2);
    await source.note(await traffic());
    expect(source.found().isBegun).toBe(false);
    routes.activeSince = ago(2 * LATE_MS);
    await source.note(await traffic());
    expect(source.found().isBegun).toBe(true);
  });
});
