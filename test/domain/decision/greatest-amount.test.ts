import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { evidenceOf } from '../../../src/domain/decision/evidence.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import { stateOfTotals } from '../../../src/domain/decision/rule-reading.ts';
import type { MaxEfficacySpec } from '../../../src/domain/decision/rule-spec.ts';
import { CANDIDATES } from './rule-specs.ts';

/** `max-efficacy` on amounts: what it compares, and what it can say of how far off that is. */

const UNBOUNDED: MaxEfficacySpec = {
  rule: 'max-efficacy',
  arms: CANDIDATES,
  volume: 'amount',
  comparison: 'random',
  unit: 'request',
  minSamples: 100,
};
const CAPPED: MaxEfficacySpec = { ...UNBOUNDED, cap: 50, comparesCapped: true };

/** Of 1,000 requests each: a tenth buys for 25, and one customer of 2.0-b for 9,000, which counts as 50. */
const BLOCK: Block = {
  fromMs: 0,
  toMs: 60_000,
  groups: {
    [EVERYONE]: {
      '2.0-a': { n: 1000, sum: 50, squares: 25, uncapped: 2500 },
      '2.0-b': { n: 1000, sum: 41, squares: 21, uncapped: 11_000 },
    },
  },
};

describe('the greatest efficacy of amounts', () => {
  test('goes by capped amounts where the plan caps them, each with an interval around it', () => {
    const verdict = judge(CAPPED, observe(CAPPED, beginRule(CAPPED), BLOCK), true);
    expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
    for (const { efficacy, interval } of verdict.arms) {
      expect(interval?.[0]).toBeLessThan(efficacy ?? 0);
      expect(interval?.[1]).toBeGreaterThan(efficacy ?? 0);
      expect(interval?.[0]).toBeGreaterThanOrEqual(0);
    }
    expect(verdict.sentence).toContain('2.0-a: 2,500 of 1,000 = 2.500 per request (');
    expect(verdict.sentence).not.toContain('No interval');
    expect(verdict.arms[1]).toMatchObject({ volume: 2050, uncapped: 11_000 });
    expect(verdict.notes.join()).toContain('capped at 50 per request');
    expect(verdict.notes.join()).toContain('the intervals are too narrow');
  });

  test.each<[string, Partial<MaxEfficacySpec>, string]>([
    ['', {}, 'the amount of a request, decision.cap would.'],
    [', of clicks', { volume: 'clicks' }, 'the clicks of a request, decision.cap would.'],
    [', by account', { unit: 'account' }, 'the amount of an account, decision.cap would.'],
    [
      ', in a run that began before caps did, with a cap in its plan',
      { cap: 50 },
      'the amount of a request, for this upgrade began before decision.cap did.',
    ],
  ])(
    'says in its sentence that no interval can be said where nothing bounds them%s',
    (_what, change, said) => {
      const spec = { ...UNBOUNDED, ...change };
      const arms = evidenceOf({
        versions: spec.arms,
        base: {},
        totals: { '2.0-a': { allocated: 1000, volume: 2500 }, '2.0-b': { allocated: 1000, volume: 11_000 } },
        pulled: {},
      });
      const verdict = judge(spec, stateOfTotals(spec, arms, 60_000), true);
      expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-b' });
      expect(verdict.arms.map(({ interval }) => interval)).toEqual([null, null]);
      expect(verdict.sentence).toContain(`No interval can be said: nothing bounds ${said}`);
      expect(verdict.notes.join()).not.toContain('capped');
    },
  );

  test('goes by what a source capped, and takes its squares for the interval', () => {
    const versions = CAPPED.arms;
    const widthWith = (squares: number): number => {
      const totals = {
        '2.0-a': { allocated: 1000, volume: 2500, capped: { sum: 50, squares } },
        '2.0-b': { allocated: 1000, volume: 11_000, capped: { sum: 41, squares } },
      };
      const arms = evidenceOf({ versions, base: {}, totals, pulled: {} });
      const verdict = judge(CAPPED, stateOfTotals(CAPPED, arms, 60_000), true);
      expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
      const [low = 0, high = 0] = verdict.arms[0]?.interval ?? [];
      return high - low;
    };
    expect(widthWith(25)).toBeLessThan(widthWith(50));
    expect(widthWith(25)).toBeGreaterThan(0);
  });
});
