import { describe, expect, test } from 'vitest';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { TrafficPolicy } from '../../../src/domain/policy/policy.ts';
import { splitNow } from '../../../src/domain/upgrade/route-changes.ts';
import { initialState, type UpgradeState } from '../../../src/domain/upgrade/state.ts';
import type { PlanInput } from '../../../src/domain/plan/schema.ts';
import { examplePlan, examplePlanInput } from './example-plan.ts';

type PolicyInput = PlanInput['traffic']['policy'];

function splitWith(policy: PolicyInput, change: Partial<UpgradeState['trial']>, leaderShare = '75%') {
  const { traffic } = examplePlanInput();
  const plan = examplePlan({
    traffic: { ...traffic, policy },
    trial: { stages: [{ share: '100%', length: '4s' }], readEvery: '1s', baselineShare: '0%' },
    decision: { rule: 'anytime', leaderShare },
  });
  const start = initialState(plan, { upgradeId: 'u', at: '2026-01-02T03:04:05.000Z' });
  return splitNow(plan, {
    ...start,
    routes: { ...start.routes, share: 1 },
    trial: { ...start.trial, ...change },
  });
}

describe('a policy by hash', () => {
  const policy = { kind: 'hash' as const, weights: { '2.0-a': 1, '2.0-b': 1, '1.4': 2 } };
  const weightsWith = (change: Partial<UpgradeState['trial']>, leaderShare?: string) => {
    const split = splitWith(policy, change, leaderShare);
    return split.policy.kind === 'hash' ? split.policy.weights : {};
  };

  test('gives the leader its share of what candidates have together: nobody else is exposed', () => {
    expect(weightsWith({ leader: '2.0-b' })).toEqual({ '2.0-a': 0.5, '2.0-b': 1.5, '1.4': 2 });
  });

  test('gives it no less than an equal one', () => {
    expect(weightsWith({ leader: '2.0-b' }, '20%')).toEqual({ '2.0-a': 1, '2.0-b': 1, '1.4': 2 });
  });

  test('leaves who is out without any', () => {
    expect(weightsWith({ leader: '2.0-b', dropped: ['2.0-a'] })).toEqual({
      '2.0-a': 0,
      '2.0-b': 2,
      '1.4': 2,
    });
  });

  test('gives all to the others where the leader was pulled and nobody has followed it yet', () => {
    expect(weightsWith({ leader: '2.0-b', pulled: { '2.0-b': 'errors' } })).toEqual({
      '2.0-a': 2,
      '2.0-b': 0,
      '1.4': 2,
    });
  });
});

describe('groups that are dealt at random', () => {
  const policy = {
    kind: 'range' as const,
    rules: [
      { below: 18, to: '1.4' },
      { from: 18, below: 35, to: { '2.0-a': 1, '2.0-b': 3 } },
      { from: 35, to: { '1.4': 60, '2.0-a': 30, '2.0-b': 10 } },
    ],
  };

  test('give the leader its share of what candidates get in each, and leave the baseline its part', () => {
    expect(splitWith(policy, { leader: '2.0-a' }).policy).toMatchObject({
      rules: [
        { below: 18, to: '1.4' },
        { from: 18, below: 35, to: { '2.0-a': 3, '2.0-b': 1 } },
        { from: 35, to: { '1.4': 60, '2.0-a': 30, '2.0-b': 10 } },
      ],
    });
    expect(splitWith(policy, { leader: '2.0-b' }).policy).toMatchObject({
      rules: [
        { to: '1.4' },
        { to: { '2.0-a': 1, '2.0-b': 3 } },
        { to: { '1.4': 60, '2.0-a': 10, '2.0-b': 30 } },
      ],
    });
  });

  test('of lists do so too, with all that no list names', () => {
    const lists: PolicyInput = {
      kind: 'values',
      rules: [{ values: ['zurich'], to: { '2.0-a': 1, '2.0-b': 1 } }],
      otherwise: { '1.4': 2, '2.0-a': 1, '2.0-b': 1 },
    };
    const led = splitWith(lists, { leader: '2.0-b', dropped: ['2.0-a'] }).policy;
    expect(led).toEqual({
      kind: 'values',
      rules: [{ values: ['zurich'], to: { '2.0-a': 0, '2.0-b': 2 } }],
      otherwise: { '1.4': 2, '2.0-a': 0, '2.0-b': 2 },
    });
  });

  test('let accounts move between candidates alone: nobody comes from the baseline, or goes there', () => {
    const versionsBy = (leader: string): readonly string[] => {
      const decide = compileSplit(splitWith(policy, { leader }));
      return ['10', '20', '40'].flatMap((age) =>
        Array.from({ length: 2000 }, (_, account) => decide(age, `account-${account}`).release),
      );
    };
    const [before, after] = [versionsBy('2.0-a'), versionsBy('2.0-b')];
    const moves = new Set(before.map((version, i) => `${version} to ${after[i] ?? ''}`));
    expect([...moves].filter((move) => move.includes('1.4'))).toEqual(['1.4 to 1.4']);
    expect(moves).toContain('2.0-a to 2.0-b');
  });
});

test('digits cannot be shared out anew', () => {
  const rules = [
    { tail: 'odd' as const, to: '2.0-a' },
    { tail: 'even' as const, to: '2.0-b' },
  ];
  const policy: TrafficPolicy = { kind: 'tail', rules };
  expect(splitWith({ kind: 'tail', rules }, { leader: '2.0-a' }).policy).toEqual(policy);
});
