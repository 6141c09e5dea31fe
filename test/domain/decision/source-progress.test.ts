import { describe, expect, test } from 'vitest';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import { binomial, seededRandom } from '../../../src/domain/decision/simulation/random.ts';
import type { MetricsReading } from '../../../src/domain/decision/source-block.ts';
import {
  beginSource,
  momentsToRead,
  remarksOf,
  takeReading,
  withMoment,
  type RouteMoment,
  type SourceProgress,
} from '../../../src/domain/decision/source-progress.ts';
import { ruleSpecOf } from '../../../src/domain/decision/spec-of.ts';
import { examplePlan } from '../upgrade/example-plan.ts';

const START = Date.parse('2026-01-31T10:00:00.000Z');
const at = (seconds: number): string => new Date(START + seconds * 1000).toISOString();
const moment = (seconds: number, tableVersion: number, allotted?: Record<string, number>): RouteMoment => ({
  at: at(seconds),
  tableVersion,
  ...(allotted === undefined ? {} : { allotted }),
});
const reading = (seconds: number, old: number, young: number): MetricsReading => ({
  at: at(seconds),
  arms: { old: { n: old, sum: 0 }, young: { n: young, sum: 0 } },
  notes: [],
});
const through = (progress: SourceProgress, ...moments: RouteMoment[]): SourceProgress =>
  moments.reduce(withMoment, progress);

describe('a source that is read while routes change', () => {
  const begun = through(beginSource(moment(0, 7)), moment(30, 7), moment(60, 7));

  test('counts from the moment at which every gateway had the routes of the trial', () => {
    const { progress, block } = takeReading(begun, reading(30, 10, 12), 'account');
    expect(progress.since).toBe(at(0));
    expect(block).toEqual({
      ...{ fromMs: 0, toMs: 30_000, tableVersion: 7 },
      groups: { all: { old: { n: 10, sum: 0 }, young: { n: 12, sum: 0 } } },
    });
    expect(takeReading(progress, reading(60, 11, 15), 'account').block).toMatchObject({
      ...{ fromMs: 30_000, toMs: 60_000, tableVersion: 7 },
      groups: { all: { old: { n: 1 }, young: { n: 3 } } },
    });
  });

  test('gives no block across a change of the routes, and says what was left out', () => {
    const changed = through(takeReading(begun, reading(60, 10, 12), 'account').progress, moment(90, 8));
    const straddling = takeReading(changed, reading(90, 40, 50), 'account');
    expect(straddling.block).toBeUndefined();
    expect(straddling.progress.discarded).toEqual({ stretches: 1, ms: 30_000 });
    expect(remarksOf(straddling.progress)).toEqual([
      'Left out: 1 stretch of the source, 30 s together, in which the routes changed.',
    ]);
    const next = through(straddling.progress, moment(120, 8));
    expect(takeReading(next, reading(120, 45, 60), 'account').block).toMatchObject({
      ...{ fromMs: 90_000, toMs: 120_000, tableVersion: 8 },
      groups: { all: { old: { n: 5 }, young: { n: 10 } } },
    });
  });

  test('a table that came and went between two readings is a change too', () => {
    const changed = through(begun, moment(70, 8), moment(80, 9), moment(90, 9));
    expect(takeReading(changed, reading(90, 1, 1), 'account').progress.discarded?.stretches).toBe(1);
  });

  test('what it counted while a change was under way is read again later', () => {
    const changed = through(begun, moment(90, 8));
    for (const seconds of [75, 95]) {
      expect(takeReading(changed, reading(seconds, 1, 1), 'account')).toEqual({ progress: changed });
    }
  });

  test('a counter that fell across a change is named all the same', () => {
    const changed = through(takeReading(begun, reading(60, 10, 12), 'account').progress, moment(90, 8));
    expect(() => takeReading(changed, reading(90, 9, 12), 'account')).toThrow(/units of version old went/);
  });

  test('one that settles is read to the end of each table, and from the beginning of the next', () => {
    const changed = through(begun, moment(90, 8), moment(120, 8), moment(150, 8));
    expect(momentsToRead(changed, START + 75_000)).toEqual([at(60)]);
    expect(momentsToRead(changed, START + 95_000)).toEqual([at(60), at(90)]);
    expect(momentsToRead(changed, START + 130_000)).toEqual([at(60), at(91), at(120)]);
    expect(momentsToRead(changed, START)).toEqual([]);
  });

  test('few moments are kept of a long wait, with the ends of every table among them', () => {
    const many = Array.from({ length: 500 }, (_, i) => moment(61 + i, i < 250 ? 7 : 8));
    const { moments = [] } = through(begun, ...many);
    expect(moments.length).toBeLessThanOrEqual(64);
    expect(moments.map(({ at: time }) => time)).toEqual(
      expect.arrayContaining([at(0), at(310), at(311), at(560)]),
    );
  });

  test('a run from before moments were kept leaves out one stretch', () => {
    const earlier: SourceProgress = { since: at(-60), last: reading(0, 5, 5) };
    const now = through(earlier, moment(10, 7), moment(20, 7));
    expect(takeReading(now, reading(20, 9, 9), 'account')).toMatchObject({
      progress: { discarded: { stretches: 1, ms: 20_000 } },
    });
  });
});

describe('what a source’s units are compared with', () => {
  const dealt = { old: 0.2, young: 0.8 };

  test('accounts with the shares of the first routes, and no longer: who moves is counted twice', () => {
    const begun = through(beginSource(moment(0, 7), dealt), moment(30, 7), moment(60, 8), moment(90, 8));
    const first = takeReading(begun, reading(30, 10, 40), 'account');
    expect(first.block?.shares).toEqual(dealt);
    const second = takeReading(first.progress, reading(60, 20, 50), 'account');
    const third = takeReading(second.progress, reading(90, 30, 60), 'account');
    expect(third.block).toBeDefined();
    expect(third.block?.shares).toBeUndefined();
  });

  test('requests with those that the gateways allotted in the same stretch', () => {
    const begun = through(
      beginSource(moment(0, 7, { old: 100, young: 0 }), dealt),
      moment(30, 7, { old: 130, young: 10 }),
      moment(60, 7),
      moment(90, 7, { old: 160, young: 20 }),
    );
    const first = takeReading(begun, reading(30, 29, 10), 'request');
    expect(first.block?.shares).toEqual({ old: 0.75, young: 0.25 });
    // A gateway could not be read then.
    const second = takeReading(first.progress, reading(60, 40, 20), 'request');
    expect(second.block?.shares).toBeUndefined();
    expect(takeReading(second.progress, reading(90, 60, 20), 'request').block?.shares).toBeUndefined();
  });
});

describe('whether a source counts what the gateways dealt', () => {
  const plan = examplePlan({
    decision: { rule: 'anytime', unit: 'request' },
    trial: { stages: [{ share: '50%', length: '1m' }], readEvery: '1s', baselineShare: '10%' },
    measure: {
      volume: { kind: 'successes', match: {} },
      source: { from: 'http', url: 'https://counts.example.com' },
    },
  });
  const spec = ruleSpecOf(plan);

  /** Readings every 30 s of a source that has each request of a version with its probability. */
  function verdictAfter(readings: number, found: Record<string, number>, seed: number) {
    const random = seededRandom(seed);
    const versions = Object.keys(found);
    const allotted: Record<string, number> = Object.fromEntries(versions.map((one) => [one, 0]));
    const counted: Record<string, { n: number; sum: number }> = {};
    let progress = beginSource(moment(0, 7, { ...allotted }));
    let state = beginRule(spec);
    for (let n = 1; n <= readings; n += 1) {
      for (const version of versions) {
        // A few customers with many requests each: what they do says nothing of the split.
        const more = Math.floor(random() * 4) * 100;
        allotted[version] = (allotted[version] ?? 0) + more;
        const { n: before = 0 } = counted[version] ?? {};
        counted[version] = { n: before + binomial(random, more, found[version] ?? 1), sum: 0 };
      }
      progress = withMoment(progress, moment(30 * n, 7, { ...allotted }));
      const taken = takeReading(progress, { at: at(30 * n), arms: { ...counted }, notes: [] }, 'request');
      progress = taken.progress;
      if (taken.block !== undefined) state = observe(spec, state, taken.block);
    }
    return judge(spec, state);
  }

  test('one that misses requests of one version is not trusted, and nothing is decided', () => {
    const verdict = verdictAfter(200, { '1.4': 0.99, '2.0-a': 0.9, '2.0-b': 0.99 }, 1);
    expect(verdict).toMatchObject({ kind: 'untrustedData', reason: 'sampleRatio' });
    expect(verdict.sentence).toMatch(/^The source does not count the requests that the gateways allotted/);
    expect(verdict.notes).toContainEqual(
      expect.stringMatching(/^Checked: the requests that the source counts/),
    );
  });

  test('one that misses requests of all alike raises no alarm, however unevenly they come', () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      expect(verdictAfter(200, { '1.4': 0.9, '2.0-a': 0.9, '2.0-b': 0.9 }, seed).kind).toBe('collecting');
    }
  });
});
