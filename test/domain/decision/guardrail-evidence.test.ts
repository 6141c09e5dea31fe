import { describe, expect, test } from 'vitest';
import {
  assessEvidence,
  assessLiveness,
  UNWATCHED,
  watched,
  type GuardrailBounds,
  type OutcomeCounts,
} from '../../../src/domain/decision/guardrail-evidence.ts';

const BOUNDS: GuardrailBounds = { errorCeiling: 0.01, slowCeiling: 0.2, errorRatio: 2, alpha: 0.001 };

function counts(finished: number, errors: number, more: Partial<OutcomeCounts> = {}): OutcomeCounts {
  return { finished, errors, slow: 0, ...more };
}

function after(blocks: readonly { candidate: OutcomeCounts; baseline: OutcomeCounts }[], bounds = BOUNDS) {
  const state = blocks.reduce((before, block) => watched(before, block, bounds), UNWATCHED);
  return assessEvidence(state, bounds);
}

describe('a guardrail', () => {
  test('is silent without data', () => {
    expect(assessEvidence(UNWATCHED, BOUNDS)).toEqual({ kind: 'holds' });
  });

  test('pulls a version that fails every request after two, by its ceiling', () => {
    expect(after([{ candidate: counts(1, 1), baseline: counts(0, 0) }]).kind).toBe('holds');
    expect(after([{ candidate: counts(2, 2), baseline: counts(90, 0) }])).toEqual({
      kind: 'breach',
      guardrail: 'errors',
      reason: '2 of 2 requests failed, allowed are 1 %',
    });
  });

  test('lets a version at its limit pass', () => {
    expect(after([{ candidate: counts(10_000, 100), baseline: counts(10_000, 100) }]).kind).toBe('holds');
  });

  test('pulls a version that is too slow', () => {
    const finding = after([
      { candidate: counts(100, 0, { slow: 60 }), baseline: counts(100, 0, { slow: 3 }) },
    ]);
    expect(finding).toMatchObject({ kind: 'breach', guardrail: 'slow' });
  });

  test('blames nobody where the baseline breaches as well', () => {
    const finding = after([{ candidate: counts(100, 90), baseline: counts(100, 85) }]);
    expect(finding).toMatchObject({ kind: 'environment', guardrail: 'errors' });
  });

  test('pulls a version that fails more than twice as often as the baseline, below every ceiling', () => {
    const bounds: GuardrailBounds = { errorRatio: 2, alpha: 0.001 };
    const block = { candidate: counts(200, 20), baseline: counts(1000, 10) };
    expect(after([block], bounds).kind).toBe('holds');
    expect(after([block, block, block, block], bounds)).toMatchObject({ guardrail: 'errorsAgainstBaseline' });
    const alike = { candidate: counts(200, 4), baseline: counts(1000, 20) };
    expect(
      after(
        Array.from({ length: 50 }, () => alike),
        bounds,
      ).kind,
    ).toBe('holds');
  });

  test.each([1, 5, 60])('blames nobody when %d readings of failures for all are over', (readings) => {
    const bounds: GuardrailBounds = { errorRatio: 2, alpha: 0.001 };
    const same = (errors: number) => ({ candidate: counts(100, errors), baseline: counts(100, errors) });
    const both = [same(0), ...Array.from({ length: readings }, () => same(100)), same(40)];
    const well = [...both, ...Array.from({ length: 60 }, () => same(0))];
    for (let end = 1; end <= well.length; end += 1) {
      expect(after(well.slice(0, end), bounds).kind).toBe('holds');
    }
    const failing = { candidate: counts(100, 50), baseline: counts(100, 0) };
    expect(after([...both, failing, failing], bounds).kind).toBe('breach');
  });

  describe('where groups of customers are dealt at random', () => {
    const bounds: GuardrailBounds = { errorRatio: 2, alpha: 0.001 };
    type Group = { candidate: OutcomeCounts; baseline: OutcomeCounts };
    const many = (groups: Readonly<Record<string, Group>>) => {
      const added = (side: keyof Group): OutcomeCounts =>
        Object.values(groups).reduce(
          (sum, { [side]: one }) => counts(sum.finished + one.finished, sum.errors + one.errors),
          counts(0, 0),
        );
      const block = { candidate: added('candidate'), baseline: added('baseline'), groups };
      return Array.from({ length: 50 }, () => block);
    };
    /** The young fail in 20 of 100 cases whatever the version, the old in 1; the candidate has mostly the young. */
    const alike = {
      young: { candidate: counts(900, 180), baseline: counts(100, 20) },
      old: { candidate: counts(100, 1), baseline: counts(900, 9) },
    };

    test('does not blame a version that was given those who fail more often', () => {
      expect(after(many(alike), bounds)).toEqual({ kind: 'holds' });
      // Added up it would be 18.1 % against 2.9 %.
      const [{ candidate, baseline } = { candidate: counts(0, 0), baseline: counts(0, 0) }] = many(alike);
      expect(
        after(
          [1, 2, 3].map(() => ({ candidate, baseline })),
          bounds,
        ).kind,
      ).toBe('breach');
    });

    test('pulls a version that fails more often in its groups, though all in all it does not', () => {
      const worse = {
        young: { candidate: counts(100, 60), baseline: counts(900, 180) },
        old: { candidate: counts(900, 36), baseline: counts(100, 1) },
      };
      expect(after(many(worse), bounds)).toEqual({
        kind: 'breach',
        guardrail: 'errorsAgainstBaseline',
        reason:
          "4800 of 50000 requests failed, more than 2 times as many as the baseline's 9050 of 50000, compared group by group",
      });
    });

    test('pulls a version that fails in one group alone, and learns from none without a baseline', () => {
      const { old } = alike;
      const young = { candidate: counts(900, 540), baseline: counts(100, 20) };
      expect(after(many({ young, old }), bounds).kind).toBe('breach');
      const alone = { young: { ...young, baseline: counts(0, 0) }, old };
      expect(after(many(alone), bounds).kind).toBe('holds');
    });
  });

  test('sees no loss where outcomes come in a later reading than their units', () => {
    const bounds: GuardrailBounds = { lossBudget: 40, alpha: 0.001 };
    const late = Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0
        ? {
            candidate: counts(90, 0, { units: 90, volume: 0 }),
            baseline: counts(10, 0, { units: 10, volume: 0 }),
          }
        : {
            candidate: counts(90, 0, { units: 90, volume: 18 }),
            baseline: counts(10, 0, { units: 10, volume: 2 }),
          },
    );
    expect(after(late, bounds).kind).toBe('holds');
  });

  test('is pulled in a bad environment where it does far worse than the baseline', () => {
    const bounds: GuardrailBounds = { errorCeiling: 0.05, alpha: 0.001 };
    const ill = { candidate: counts(200, 200), baseline: counts(2000, 200) };
    expect(after([ill], bounds)).toMatchObject({ kind: 'breach', guardrail: 'errors' });
  });

  test('pulls a version that spent its loss budget, before anything is significant', () => {
    const bounds: GuardrailBounds = { lossBudget: 40, alpha: 0.001 };
    const block = {
      candidate: counts(100, 0, { units: 100, volume: 5 }),
      baseline: counts(900, 0, { units: 900, volume: 180 }),
    };
    expect(after([block, block], bounds).kind).toBe('holds');
    expect(after([block, block, block], bounds)).toEqual({
      kind: 'breach',
      guardrail: 'lossBudget',
      reason: 'about 45 lost against the baseline, the budget is 40',
    });
  });

  test('carries its state through JSON bit for bit', () => {
    const block = { candidate: counts(200, 7), baseline: counts(1000, 11) };
    const one = watched(watched(UNWATCHED, block, BOUNDS), block, BOUNDS);
    const carried = JSON.parse(JSON.stringify(one)) as typeof one;
    expect(watched(carried, block, BOUNDS)).toStrictEqual(watched(one, block, BOUNDS));
    const grouped = { ...block, groups: { young: block } };
    const two = watched(watched(UNWATCHED, grouped, BOUNDS), grouped, BOUNDS);
    expect(JSON.parse(JSON.stringify(two))).toStrictEqual(two);
  });
});

describe('counters', () => {
  const base = { readAtMs: 9_000, grewAtMs: 9_000, expectsTraffic: true };
  test.each([
    ['are alive while they grow', base, 'alive'],
    ['are no data when they are not read', { ...base, readAtMs: 1_000 }, 'noData'],
    ['are stuck when they stand still', { ...base, grewAtMs: 1_000 }, 'stuck'],
    [
      'may stand still where no traffic is meant to come',
      { ...base, grewAtMs: 0, expectsTraffic: false },
      'alive',
    ],
  ])('%s', (_what, liveness, kind) => {
    expect(assessLiveness(liveness, 10_000, 5_000).kind).toBe(kind);
  });
});
