import { describe, expect, test } from 'vitest';
import { comparisonOf } from '../../../src/domain/decision/comparison-of.ts';
import { ruleSpecOf } from '../../../src/domain/decision/spec-of.ts';
import type { TrafficPolicy } from '../../../src/domain/policy/policy.ts';
import { examplePlan, examplePlanInput } from '../upgrade/example-plan.ts';

test.each<[policy: TrafficPolicy, comparison: string]>([
  [{ kind: 'hash', salt: 's', weights: { a: 1 } }, 'random'],
  [{ kind: 'tail', rules: [{ tail: 'odd', to: 'a' }], otherwise: 'b' }, 'systematic'],
  [{ kind: 'range', rules: [{ below: 35, to: 'a' }], otherwise: 'b' }, 'segment'],
  [{ kind: 'values', rules: [{ values: ['bern'], to: 'a' }], otherwise: 'b' }, 'segment'],
  [{ kind: 'range', rules: [{ below: 35, to: { a: 1, b: 1 } }], otherwise: '1.4' }, 'stratified'],
  [{ kind: 'values', rules: [{ values: ['bern'], to: '1.4' }], otherwise: { a: 1, b: 1 } }, 'stratified'],
])('a policy %j is a comparison that is %s', (policy, comparison) => {
  expect(comparisonOf({ policy })).toBe(comparison);
});

describe('a policy by which all keys lead to one candidate', () => {
  const EVERYBODY: readonly TrafficPolicy[] = [
    { kind: 'range', rules: [{ to: 'a' }] },
    { kind: 'range', rules: [{ below: 35, to: 'a' }], otherwise: 'a' },
    { kind: 'values', rules: [{ values: ['bern'], to: 'a' }], otherwise: 'a' },
    { kind: 'tail', rules: [{ tail: 'odd', to: 'a' }], otherwise: 'a' },
  ];

  test.each(EVERYBODY.map((policy) => [policy]))(
    'compares random shares, for only the stage deals: %j',
    (policy) => {
      expect(comparisonOf({ policy, key: {} })).toBe('random');
    },
  );

  test('is what the plan’s rule goes by', () => {
    const { traffic } = examplePlanInput();
    const policy = { kind: 'range' as const, rules: [{ to: '2.0-a' }] };
    const comparisonWith = (key: typeof traffic.key): string =>
      ruleSpecOf(examplePlan({ traffic: { ...traffic, key, policy } })).comparison;
    expect(comparisonWith(traffic.key)).toBe('random');
    expect(comparisonWith({ ...traffic.key, lookup: 'ages.csv' })).toBe('segment');
  });

  test('compares ages where a stage holds back whole ages that were looked up', () => {
    const [ages] = EVERYBODY;
    expect(comparisonOf({ policy: ages!, key: { lookup: 'ages.csv' } })).toBe('segment');
  });

  test('compares group by group where accounts are dealt inside each, looked up or not', () => {
    const policy: TrafficPolicy = {
      kind: 'range',
      rules: [{ below: 35, to: { a: 1 } }],
      otherwise: { a: 1 },
    };
    expect(comparisonOf({ policy, key: { lookup: 'ages.csv' } })).toBe('stratified');
  });

  test('compares groups where some of them stay on the baseline', () => {
    const policy: TrafficPolicy = { kind: 'range', rules: [{ from: 18, to: 'a' }], otherwise: '1.4' };
    expect(comparisonOf({ policy })).toBe('segment');
  });
});
