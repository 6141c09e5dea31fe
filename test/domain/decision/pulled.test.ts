import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe, withPulled } from '../../../src/domain/decision/rule.ts';
import {
  type AnytimeSpec,
  type Arm,
  type FixedSampleSpec,
  type RuleSpec,
} from '../../../src/domain/decision/rule-spec.ts';
import type { RuleState } from '../../../src/domain/decision/rule-state.ts';
import { evidenceIn } from '../../../src/domain/decision/rules/pair-evidence.ts';
import { nextShares } from '../../../src/domain/decision/rules/shares.ts';
import { binomial, seededRandom } from '../../../src/domain/decision/simulation/random.ts';
import { ANYTIME_BY_ACCOUNT } from './rule-specs.ts';

const ARMS: readonly Arm[] = ['x', 'a', 'b'].map((version) => ({ version, role: 'candidate' }));
const SPEC: AnytimeSpec = { ...ANYTIME_BY_ACCOUNT, arms: ARMS };
const PULLED = { x: 'errors 12 %' };

function through(
  spec: RuleSpec,
  successes: Readonly<Record<string, number>>,
  blocks: number,
  from: RuleState = beginRule(spec),
): RuleState {
  const arms = Object.fromEntries(
    Object.entries(successes).map(([version, sum]) => [version, { n: 500, sum }]),
  );
  let state = from;
  for (let i = 0; i < blocks; i += 1) {
    const fromMs = state.elapsedMs;
    state = observe(spec, state, { fromMs, toMs: fromMs + 60_000, groups: { [EVERYONE]: arms } });
  }
  return state;
}

describe('where only one candidate is left since the others were pulled', () => {
  const two: AnytimeSpec = { ...SPEC, arms: ARMS.slice(1) };
  const pulled = { b: 'errors 12 %' };

  test.each([
    ['it was in front', { a: 100, b: 90 }, 3],
    ['it had been beaten by the one that was pulled', { a: 60, b: 120 }, 4],
    ['there was no block yet', {}, 0],
  ])('nothing is shown of it, and the end of the trial decides: %s', (_what, successes, blocks) => {
    const alone = withPulled(two, through(two, successes, blocks), pulled);
    const state = through(two, { a: 100 }, 3, alone);
    expect(state.decided).toBeNull();
    expect(judge(two, state)).toMatchObject({
      kind: 'collecting',
      sentence: expect.stringContaining(
        'all others were pulled, so that the end of the trial decides',
      ) as unknown,
    });
    expect(judge(two, state, true)).toMatchObject({
      kind: 'winner',
      winner: 'a',
      sentence: expect.stringContaining('a wins: all others were pulled') as unknown,
    });
  });

  test('one that had won by its own evidence before stays the winner', () => {
    const won = through(two, { a: 120, b: 60 }, 4);
    expect(won.decided).toMatchObject({ kind: 'winner', version: 'a' });
    expect(judge(two, withPulled(two, won, pulled))).toMatchObject({ kind: 'winner', winner: 'a' });
  });
});

describe('where only one is left of what is compared', () => {
  const two: AnytimeSpec = { ...SPEC, arms: ARMS.slice(1) };
  const pulled = { b: 'errors 12 %' };

  test('a tie with the one that was pulled keeps the other, and says so', () => {
    const tied = through({ ...two, epsilon: 0.1 }, { a: 100, b: 100 }, 30);
    expect(tied.decided).toMatchObject({ kind: 'equivalent', version: 'a' });
    const verdict = judge({ ...two, epsilon: 0.1 }, withPulled({ ...two, epsilon: 0.1 }, tied, pulled));
    expect(verdict).toMatchObject({ kind: 'equivalent', keep: 'a' });
    expect(verdict.sentence).toContain('a is kept: what it tied with was pulled');
  });

  test('an A/A test shows nothing of the measuring, and a segment policy promises no end', () => {
    const test: AnytimeSpec = { ...two, aaTest: true };
    const alone = withPulled(test, through(test, { a: 100, b: 100 }, 3), pulled);
    expect(judge(test, alone).sentence).not.toContain('the end of the trial decides');
    expect(judge(test, alone, true)).toMatchObject({
      kind: 'inconclusive',
      sentence: expect.stringContaining('Nothing is left to compare: b was pulled') as unknown,
    });
    const segment: AnytimeSpec = { ...two, comparison: 'segment' };
    const left = withPulled(segment, beginRule(segment), pulled);
    expect(judge(segment, left).sentence).not.toContain('the end of the trial decides');
  });
});

describe('where a candidate is pulled that had beaten others', () => {
  const beaten = through(SPEC, { x: 100, a: 90, b: 60 }, 4);

  test('one that is not beaten by anybody else takes part again, and can win', () => {
    const near = through(SPEC, { x: 100, a: 86, b: 75 }, 6);
    expect(near).toMatchObject({ dropped: { b: { by: 'x' } }, decided: null });
    const state = withPulled(SPEC, near, PULLED);
    expect(state).toMatchObject({ returned: { b: { atMs: 360_000 } } });
    expect(state.dropped).toEqual({});
    const { kind, sentence, notes } = judge(SPEC, state);
    expect(kind).toBe('collecting');
    expect(sentence).toContain('what had beaten b was pulled, so that it is tried on');
    expect(notes).toContainEqual(expect.stringContaining('Since x was pulled, the question is which'));
    expect(Object.keys(nextShares(SPEC, state))).toEqual(['a', 'b']);
    const turned = through(SPEC, { a: 75, b: 110 }, 8, state);
    expect(judge(SPEC, turned)).toMatchObject({ kind: 'winner', winner: 'b' });
  });

  test('nothing is bet on what it was assigned before it was taken out: those windows were cut short', () => {
    const near = through(SPEC, { x: 100, a: 86, b: 75 }, 6);
    const block = (tableVersion: number): Block => {
      const arms = { a: { n: 500, sum: 90 }, b: { n: 500, sum: 0 } };
      return { fromMs: 360_000, toMs: 420_000, tableVersion, groups: { [EVERYONE]: arms } };
    };
    const evidence = (state: RuleState): number => evidenceIn(SPEC, state)('a', 'b', 0);
    const late = observe(SPEC, near, block(7));
    expect(evidence(late)).toBe(evidence(near));
    // Taken out by table 8; what had beaten it is pulled by table 9, before or after a block tells of either.
    const routes = { tableVersion: 9, out: ['b'] };
    for (const before of [near, late]) {
      const back = withPulled(SPEC, before, PULLED, routes);
      for (const table of [7, 9]) expect(evidence(observe(SPEC, back, block(table)))).toBe(evidence(near));
      expect(evidence(observe(SPEC, back, block(10)))).toBeGreaterThan(evidence(near));
    }
  });

  test('all is bet on that it was assigned where the routes had not taken it out yet: no window was cut short', () => {
    const near = through(SPEC, { x: 100, a: 86, b: 75 }, 6);
    const back = withPulled(SPEC, near, PULLED, { tableVersion: 9, out: [] });
    expect(back.returned).toEqual({ b: { atMs: 360_000 } });
    const arms = { a: { n: 500, sum: 90 }, b: { n: 500, sum: 0 } };
    const groups = { [EVERYONE]: arms };
    const next = observe(SPEC, back, { fromMs: 360_000, toMs: 420_000, tableVersion: 7, groups });
    expect(evidenceIn(SPEC, next)('a', 'b', 0)).toBeGreaterThan(evidenceIn(SPEC, near)('a', 'b', 0));
  });

  test('one that another one beats as well stays out', () => {
    expect(beaten).toMatchObject({ dropped: { b: { by: 'x' } }, decided: null });
    const later = through(SPEC, { x: 100, a: 90, b: 40 }, 8);
    const state = withPulled(SPEC, later, PULLED);
    expect(state.dropped).toMatchObject({ b: { by: 'a', atMs: later.dropped['b']?.atMs } });
    expect(state.returned).toBeUndefined();
  });

  test('nothing is looked at again at a reading that tells of the same pull', () => {
    const state = withPulled(SPEC, through(SPEC, { x: 100, a: 86, b: 75 }, 6), PULLED);
    const out = through(SPEC, { a: 90, b: 60 }, 6, state);
    expect(out.dropped).toMatchObject({ b: { by: 'a' } });
    expect(withPulled(SPEC, out, PULLED)).toEqual(out);
  });

  test('a decision for another one stands: it is at most ε worse than any', () => {
    const won = through(SPEC, { x: 60, a: 100, b: 20 }, 9);
    expect(won.decided).toMatchObject({ kind: 'winner', version: 'a' });
    expect(withPulled(SPEC, won, PULLED).decided).toEqual(won.decided);
  });

  test('the best of those that are left is missed in at most δ, though the best was pulled to make it so', () => {
    const random = seededRandom(3);
    const rates: Readonly<Record<string, number>> = { x: 0.2, a: 0.1, b: 0.13 };
    const runs = 400;
    let wrong = 0;
    let returned = 0;
    for (let run = 0; run < runs; run += 1) {
      let state = beginRule(SPEC);
      for (let blocks = 0; blocks < 200 && state.decided === null; blocks += 1) {
        const shares = nextShares(SPEC, state);
        const arms: Record<string, { n: number; sum: number }> = {};
        for (const [version, share] of Object.entries(shares)) {
          const n = Math.round(300 * share);
          arms[version] = { n, sum: binomial(random, n, rates[version] ?? 0) };
        }
        const fromMs = state.elapsedMs;
        state = observe(SPEC, state, { fromMs, toMs: fromMs + 1, groups: { [EVERYONE]: arms } });
        if (Object.keys(state.dropped).length > 0) state = withPulled(SPEC, state, PULLED);
      }
      if (state.decided?.version === 'a') wrong += 1;
      if (state.returned !== undefined) returned += 1;
    }
    expect(returned).toBeGreaterThan(runs / 2);
    expect(wrong / runs).toBeLessThanOrEqual(SPEC.delta);
  });
});

describe('one look at a planned sample', () => {
  const FIXED: FixedSampleSpec = {
    rule: 'fixed-sample',
    arms: ARMS,
    volume: 'successes',
    comparison: 'random',
    unit: 'account',
    delta: 0.05,
    unitsPerArm: 1_000,
  };
  const waiting = through(FIXED, { a: 150, b: 100 }, 4);

  test('is taken when a pull completes the set, on what is there then', () => {
    expect(judge(FIXED, waiting).kind).toBe('collecting');
    const looked = withPulled(FIXED, waiting, PULLED);
    expect(judge(FIXED, looked)).toMatchObject({ kind: 'winner', winner: 'a' });
    // What comes in later is not looked at any more, and what was seen stays what was seen.
    const later = through(FIXED, { a: 10, b: 400 }, 4, looked);
    expect(later.decided).toEqual(looked.decided);
    expect(judge(FIXED, later).comparisons).toEqual(judge(FIXED, looked).comparisons);
  });

  test('is not taken a second time when a pull takes away what it found', () => {
    const first = through(FIXED, { x: 190, a: 150, b: 100 }, 2);
    expect(first.decided).toMatchObject({ kind: 'winner', version: 'x' });
    const pulled = through(FIXED, { a: 150, b: 100 }, 4, withPulled(FIXED, first, PULLED));
    expect(pulled.decided).toBeNull();
    const verdict = judge(FIXED, pulled);
    expect(verdict).toMatchObject({ kind: 'inconclusive', reason: 'notSignificant' });
    expect(verdict.sentence).toContain('names nobody who is left');
  });
});
