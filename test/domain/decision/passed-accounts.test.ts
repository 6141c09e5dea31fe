import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { bendsSplit, uncheckedWhereMoved } from '../../../src/domain/decision/moved.ts';
import { beginRule, observe } from '../../../src/domain/decision/rule.ts';
import type { AnytimeSpec } from '../../../src/domain/decision/rule-spec.ts';
import type { RuleState } from '../../../src/domain/decision/rule-state.ts';
import { binomial, seededRandom } from '../../../src/domain/decision/simulation/random.ts';
import { ANYTIME_BY_ACCOUNT, WITH_CONTROL } from './rule-specs.ts';

/** A candidate that has no server for a while: its accounts go elsewhere, and never enter. */

const SPEC: AnytimeSpec = { ...ANYTIME_BY_ACCOUNT, arms: WITH_CONTROL.slice(0, 2), split: 'accounts' };
const BLOCKS = 60;
const EACH = 1000;
const OUTAGE = [20, 24] as const;

/** Accounts as a fair split deals them; during the outage those of the candidate pass by. */
function trial(seed: number, isTold: boolean): readonly Block[] {
  const random = seededRandom(seed);
  return Array.from({ length: BLOCKS }, (_, i) => {
    const dealt = binomial(random, EACH, 0.5);
    const isOut = i >= OUTAGE[0] && i < OUTAGE[1];
    const passed = isTold ? { passed: 0 } : {};
    return {
      fromMs: i * 1000,
      toMs: (i + 1) * 1000,
      shares: { '1.4': 0.5, '2.0-a': 0.5 },
      groups: {
        [EVERYONE]: {
          '1.4': { n: EACH - dealt, sum: 100, ...passed },
          '2.0-a': isOut
            ? { n: 0, sum: 0, ...(isTold ? { passed: dealt } : {}) }
            : { n: dealt, sum: 100, ...passed },
        },
      },
    };
  });
}

function stateAfter(blocks: readonly Block[]): RuleState {
  return blocks.reduce((state, block) => observe(SPEC, state, block), beginRule(SPEC));
}

describe('the split where a candidate had no server for a while', () => {
  test('is right by who was dealt where, though its accounts never entered', () => {
    for (let seed = 1; seed <= 200; seed += 1) expect(stateAfter(trial(seed, true)).alarm).toBeNull();
    const { sampleRatio, sums } = stateAfter(trial(1, true));
    expect((sampleRatio.seen['1.4'] ?? 0) + (sampleRatio.seen['2.0-a'] ?? 0)).toBe(BLOCKS * EACH);
    // Of what a version is worth they say nothing.
    expect(sums[EVERYONE]?.['2.0-a']?.n).toBeLessThan(sampleRatio.seen['2.0-a'] ?? 0);
  });

  test('is found wrong all the same where it is', () => {
    const wrong = trial(1, true).map((block) => ({ ...block, shares: { '1.4': 0.55, '2.0-a': 0.45 } }));
    expect(judge(SPEC, stateAfter(wrong))).toMatchObject({ kind: 'untrustedData', reason: 'sampleRatio' });
  });

  test('looks wrong for ever to who is not told of them, so that the check ends there and the verdict says so', () => {
    const blocks = trial(1, false);
    expect(stateAfter(blocks).alarm).toMatchObject({ reason: 'sampleRatio' });
    const marked = [
      ...uncheckedWhereMoved(SPEC, blocks.slice(0, OUTAGE[0]), false),
      ...uncheckedWhereMoved(SPEC, blocks.slice(OUTAGE[0]), true),
    ];
    const state = stateAfter(marked);
    expect(state.alarm).toBeNull();
    expect((state.sampleRatio.seen['1.4'] ?? 0) + (state.sampleRatio.seen['2.0-a'] ?? 0)).toBe(
      OUTAGE[0] * EACH,
    );
    expect(judge(SPEC, state).notes.join()).toContain('The split was checked until requests were moved');
    // What was found before stays found.
    const wrong = trial(1, false).map((block) => ({ ...block, shares: { '1.4': 0.6, '2.0-a': 0.4 } }));
    const found = [...wrong.slice(0, OUTAGE[0]), ...uncheckedWhereMoved(SPEC, wrong.slice(OUTAGE[0]), true)];
    expect(stateAfter(found).alarm).toMatchObject({ reason: 'sampleRatio' });
  });

  test('that goes wrong after it is found wrong where gateways tell them', () => {
    const later = trial(1, true).map((block, i) =>
      i < OUTAGE[1] ? block : { ...block, shares: { '1.4': 0.6, '2.0-a': 0.4 } },
    );
    const [before, after] = [later.slice(0, OUTAGE[1]), later.slice(OUTAGE[1])].map((blocks) =>
      uncheckedWhereMoved(SPEC, blocks, true),
    );
    expect(stateAfter(before ?? []).alarm).toBeNull();
    const state = stateAfter([...(before ?? []), ...(after ?? [])]);
    expect(judge(SPEC, state)).toMatchObject({ kind: 'untrustedData', reason: 'sampleRatio' });
    expect(state.unchecked).toBeUndefined();
  });

  test('goes on to be checked where gateways tell them, and where requests are the unit', () => {
    const told = trial(1, true);
    expect(uncheckedWhereMoved(SPEC, told, true)).toEqual(told);
    const byRequest = { ...SPEC, unit: 'request' } as const;
    const untold = trial(1, false);
    expect(uncheckedWhereMoved(byRequest, untold, true)).toEqual(untold);
  });

  test('a few that are moved at the start are no matter of it, a server that is away is', () => {
    const after = (moved: number) =>
      bendsSplit(
        ['1.4', '2.0-a'],
        {},
        { '1.4': { allocated: 450, volume: 0, moved }, '2.0-a': { allocated: 450 - moved, volume: 0 } },
      );
    expect([1, 7].map(after)).toEqual([false, false]);
    expect(after(50)).toBe(true);
  });
});
