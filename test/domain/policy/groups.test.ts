import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dealAlike, dealtGroups, groupOfBucket } from '../../../src/domain/policy/groups.ts';
import type { TrafficPolicy } from '../../../src/domain/policy/policy.ts';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { TrafficSplit } from '../../../src/domain/routes/table.ts';

const AGES: TrafficPolicy = {
  kind: 'range',
  rules: [
    { below: 18, to: '1.4' },
    { from: 18, below: 35, to: { a: 1, b: 1 } },
    { from: 35, to: { a: 1, b: 3 } },
  ],
};
const BRANCHES: TrafficPolicy = {
  kind: 'values',
  rules: [
    { values: ['zurich', 'basel'], to: { a: 1, b: 1 } },
    { values: ['bern'], to: '1.4' },
  ],
  otherwise: { a: 1, b: 1, '1.4': 2 },
};

function split(policy: TrafficPolicy, changes: Partial<TrafficSplit> = {}): TrafficSplit {
  return {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy,
    withoutKey: '1.4',
    baseline: '1.4',
    share: 1,
    salt: 'trial-7',
    pulled: [],
    ...changes,
  };
}

const ACCOUNTS = 20_000;

function releases(routed: TrafficSplit, key: string): Record<string, number> {
  const decide = compileSplit(routed);
  const counts: Record<string, number> = {};
  for (let account = 0; account < ACCOUNTS; account += 1) {
    const { release } = decide(key, `account-${account}`);
    counts[release] = (counts[release] ?? 0) + 1;
  }
  return counts;
}

const near = (expected: number) => [
  expected - 4 * Math.sqrt(ACCOUNTS) * 0.5,
  expected + 4 * Math.sqrt(ACCOUNTS) * 0.5,
];

describe('a group that is dealt at random', () => {
  test.each([
    [AGES, '20', { a: 0.5, b: 0.5 }],
    [AGES, '70', { a: 0.25, b: 0.75 }],
    [AGES, '12', { '1.4': 1 }],
    [BRANCHES, 'basel', { a: 0.5, b: 0.5 }],
    [BRANCHES, 'chur', { a: 0.25, b: 0.25, '1.4': 0.5 }],
    [BRANCHES, 'bern', { '1.4': 1 }],
  ])('%# gives its versions what their weights say', (policy, key, shares) => {
    const counts = releases(split(policy), key);
    expect(Object.keys(counts).sort()).toEqual(Object.keys(shares).sort());
    for (const [release, share] of Object.entries(shares)) {
      const [low = 0, high = 0] = near(share * ACCOUNTS);
      expect(counts[release]).toBeGreaterThanOrEqual(low);
      expect(counts[release]).toBeLessThanOrEqual(high);
    }
  });

  test('keeps an account on its version whatever else is in the group (invariant 7)', () => {
    const decide = compileSplit(split(AGES, { share: 0.5 }));
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 18, max: 34 }), (account, age) => {
        // A year older in the same group: nothing changes.
        expect(decide(String(age), account)).toEqual(decide('18', account));
      }),
    );
  });

  test('moves accounts only from the baseline to their candidate as the stage grows (invariant 7)', () => {
    const early = compileSplit(split(AGES, { share: 0.05 }));
    const late = compileSplit(split(AGES, { share: 0.25 }));
    let moved = 0;
    for (let account = 0; account < 5_000; account += 1) {
      const [before, after] = [early('40', String(account)), late('40', String(account))];
      if (before.release !== '1.4') expect(after).toEqual(before);
      else if (after.release !== '1.4') moved += 1;
    }
    expect(moved).toBeGreaterThan(0);
  });

  test('is staged account by account, and independently of its weights', () => {
    const [low = 0, high = 0] = near(0.25 * 0.25 * ACCOUNTS);
    const { a = 0 } = releases(split(AGES, { share: 0.25 }), '70');
    expect(a).toBeGreaterThanOrEqual(low);
    expect(a).toBeLessThanOrEqual(high);
  });

  test('tells by the bucket of which group an account is, also where a stage holds it back', () => {
    const groups = new Set(dealtGroups(AGES).map(({ name }) => name));
    expect([...groups]).toEqual(['range:18..35', 'range:35..']);
    const decide = compileSplit(split(AGES, { share: 0.5 }));
    const buckets = new Set<string>();
    for (let account = 0; account < 100; account += 1) buckets.add(decide('20', String(account)).bucket);
    expect([...buckets].sort()).toEqual(['held-back:range:18..35', 'range:18..35']);
    for (const bucket of buckets) expect(groupOfBucket(bucket, groups)).toBe('range:18..35');
    expect(groupOfBucket(decide('12', 'x').bucket, groups)).toBeUndefined();
    expect(groupOfBucket('no-key', groups)).toBeUndefined();
  });

  test('takes nobody without an account', () => {
    const decide = compileSplit(split(AGES));
    for (const account of [undefined, '', 'x'.repeat(257)]) {
      expect(decide('20', account)).toEqual({ release: '1.4', bucket: 'no-key' });
    }
    expect(decide('unknown', 'account-1')).toEqual({ release: '1.4', bucket: 'no-key' });
  });

  test('sends the accounts of a pulled candidate to the baseline, and moves no other', () => {
    const before = compileSplit(split(BRANCHES));
    const after = compileSplit(split(BRANCHES, { pulled: ['a'] }));
    for (let account = 0; account < 1_000; account += 1) {
      const { release } = before('basel', String(account));
      expect(after('basel', String(account)).release).toBe(release === 'a' ? '1.4' : release);
    }
  });

  test('keeps who changes the group on the same version where the weights are the same', () => {
    const alike: TrafficPolicy = { ...BRANCHES, otherwise: { a: 5, b: 5 } };
    const decide = compileSplit(split(alike));
    for (let account = 0; account < 1_000; account += 1) {
      expect(decide('chur', String(account)).release).toBe(decide('basel', String(account)).release);
    }
  });
});

describe('groups may be added up', () => {
  test.each<[policy: TrafficPolicy, control: string | undefined, alike: boolean]>([
    [AGES, undefined, false],
    [{ ...AGES, rules: AGES.rules.slice(0, 2) }, undefined, true],
    // Beside a control arm, those who only ever meet the baseline would count for it.
    [{ ...AGES, rules: AGES.rules.slice(0, 2) }, '1.4', false],
    [
      {
        kind: 'values',
        rules: [{ values: ['zurich'], to: { a: 1, b: 2 } }],
        otherwise: { b: 50, a: 25 },
      },
      '1.4',
      true,
    ],
  ])('%j beside %s: %s', (policy, control, alike) => {
    expect(dealAlike(policy, control)).toBe(alike);
  });
});
