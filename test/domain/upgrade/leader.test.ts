import { expect, test } from 'vitest';
import { splitNow } from '../../../src/domain/upgrade/route-changes.ts';
import { initialState, type UpgradeState } from '../../../src/domain/upgrade/state.ts';
import { examplePlan, examplePlanInput } from './example-plan.ts';

const { traffic } = examplePlanInput();
const policy = { kind: 'hash' as const, weights: { '2.0-a': 1, '2.0-b': 1, '1.4': 2 } };
const plan = examplePlan({
  traffic: { ...traffic, policy },
  decision: { rule: 'anytime', leaderShare: '50%' },
});
const start = initialState(plan, { upgradeId: 'u', at: '2026-01-02T03:04:05.000Z' });

function weightsWith(change: Partial<UpgradeState['trial']>): Readonly<Record<string, number>> {
  const split = splitNow(plan, { ...start, trial: { ...start.trial, ...change } });
  return split.policy.kind === 'hash' ? split.policy.weights : {};
}

test('the leader gets its share of what candidates have together: nobody else is exposed', () => {
  expect(weightsWith({ leader: '2.0-b' })).toEqual({ '2.0-a': 1, '2.0-b': 1, '1.4': 2 });
});

test('who is out has no weight left', () => {
  expect(weightsWith({ leader: '2.0-b', dropped: ['2.0-a'] })).toEqual({ '2.0-a': 0, '2.0-b': 2, '1.4': 2 });
});
