import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TrafficPolicy } from '../../../src/domain/policy/policy.ts';
import { compileSplit, slotOf } from '../../../src/domain/policy/route-key.ts';
import type { TrafficSplit } from '../../../src/domain/routes/table.ts';

function split(policy: TrafficPolicy, changes: Partial<TrafficSplit> = {}): TrafficSplit {
  return {
    key: { from: 'header', name: 'x-account' },
    policy,
    withoutKey: '1.4',
    baseline: '1.4',
    share: 1,
    salt: 'trial-7',
    pulled: [],
    ...changes,
  };
}

const POLICIES: readonly [name: string, policy: TrafficPolicy][] = [
  [
    'tail',
    {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: 'a' },
        { tail: 'even', to: 'b' },
      ],
    },
  ],
  ['digits', { kind: 'tail', rules: [{ tail: [1, 2, 3], to: 'a' }], otherwise: 'b' }],
  [
    'range',
    {
      kind: 'range',
      rules: [
        { below: 35, to: 'a' },
        { from: 35, to: 'b' },
      ],
    },
  ],
  ['values', { kind: 'values', rules: [{ values: ['zurich', 'basel'], to: 'a' }], otherwise: 'b' }],
  ['hash', { kind: 'hash', salt: 's', weights: { a: 30, b: 60, '1.4': 10 } }],
];

const anyKey = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.nat().map(String),
  fc.double({ noNaN: true }).map(String),
  fc.constantFrom('zurich', 'basel', '', '-1', '0x10', '１', '7 '),
  fc.constant(undefined),
);
const anyPolicy = fc.constantFrom(...POLICIES.map(([, policy]) => policy));

describe('every policy', () => {
  test('gives any key whatever exactly one known release, and a bucket', () => {
    fc.assert(
      fc.property(anyPolicy, anyKey, fc.double({ min: 0, max: 1, noNaN: true }), (policy, key, share) => {
        const { release, bucket } = compileSplit(split(policy, { share }))(key);
        expect(['a', 'b', '1.4']).toContain(release);
        expect(bucket).not.toBe('');
      }),
    );
  });

  test('gives the same key the same release from every gateway (invariant 7)', () => {
    fc.assert(
      fc.property(anyPolicy, anyKey, fc.double({ min: 0, max: 1, noNaN: true }), (policy, key, share) => {
        const one = compileSplit(split(policy, { share }));
        const other = compileSplit(split(policy, { share }));
        expect(other(key)).toEqual(one(key));
      }),
    );
  });

  test('moves keys only from the baseline to their candidate as the share grows (invariant 7)', () => {
    const shares = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(anyPolicy, anyKey, shares, (policy, key, [one, other]) => {
        const before = compileSplit(split(policy, { share: Math.min(one, other) }))(key).release;
        const after = compileSplit(split(policy, { share: Math.max(one, other) }))(key).release;
        if (before !== '1.4') expect(after).toBe(before);
      }),
    );
  });

  test('sends the keys of a pulled candidate to the baseline, and moves no other', () => {
    fc.assert(
      fc.property(anyPolicy, anyKey, (policy, key) => {
        const before = compileSplit(split(policy))(key).release;
        const after = compileSplit(split(policy, { pulled: ['a'] }))(key).release;
        expect(after).toBe(before === 'a' ? '1.4' : before);
      }),
    );
  });
});

describe('a policy', () => {
  test.each<[policy: TrafficPolicy, key: string | undefined, release: string, bucket: string]>([
    [POLICIES[0]![1], '4711', 'a', 'tail:odd'],
    [POLICIES[0]![1], '4710', 'b', 'tail:even'],
    [POLICIES[0]![1], '471x', '1.4', 'no-key'],
    [POLICIES[0]![1], undefined, '1.4', 'no-key'],
    [POLICIES[1]![1], '12', 'a', 'tail:123'],
    [POLICIES[1]![1], '14', 'b', 'otherwise'],
    [POLICIES[2]![1], '34', 'a', 'range:..35'],
    [POLICIES[2]![1], '35', 'b', 'range:35..'],
    [POLICIES[2]![1], '0x10', '1.4', 'no-key'],
    [POLICIES[3]![1], 'basel', 'a', 'values:a'],
    [POLICIES[3]![1], 'bern', 'b', 'otherwise'],
  ])('%j sends %j to %s, counted under %s', (policy, key, release, bucket) => {
    expect(compileSplit(split(policy))(key)).toEqual({ release, bucket });
  });

  test('by hash does not depend on the order in which versions are listed', () => {
    const one = compileSplit(split({ kind: 'hash', salt: 's', weights: { a: 1, b: 2 } }));
    const other = compileSplit(split({ kind: 'hash', salt: 's', weights: { b: 2, a: 1 } }));
    for (let key = 0; key < 1000; key += 1) expect(other(String(key))).toEqual(one(String(key)));
  });
});

const KEYS = 100_000;

describe('over 100,000 keys', () => {
  test.each([
    [{ a: 50, b: 50 }],
    [{ a: 30, b: 60, '1.4': 10 }],
    [{ a: 1, b: 99 }],
    [{ a: 90, b: 10 }],
    [{ a: 1 / 3, b: 2 / 3 }],
  ])('weights %j are honoured', (weights) => {
    const route = compileSplit(split({ kind: 'hash', salt: 'any', weights }));
    const counts = countReleases((key) => route(key).release);
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    const chiSquare = Object.entries(weights).reduce((sum, [release, weight]) => {
      const expected = (weight / total) * KEYS;
      return sum + ((counts.get(release) ?? 0) - expected) ** 2 / expected;
    }, 0);
    // Deterministic keys and salt; 13.8 is the 99.9 % bound of two degrees of freedom.
    expect(chiSquare).toBeLessThan(13.8);
  });

  test.each([0, 0.05, 0.25, 0.5, 1])('a stage of share %d holds back the rest', (share) => {
    const route = compileSplit(split(POLICIES[0]![1], { share }));
    const moved = KEYS - (countReleases((key) => route(key).release).get('1.4') ?? 0);
    const spread = Math.sqrt(KEYS * share * (1 - share));
    expect(Math.abs(moved - share * KEYS)).toBeLessThanOrEqual(3.3 * spread);
  });

  test('stage and policy are dealt independently, also with the same salt', () => {
    const policy: TrafficPolicy = { kind: 'hash', salt: 'x', weights: { a: 50, b: 50 } };
    const route = compileSplit(split(policy, { share: 0.5, salt: 'x' }));
    const counts = countReleases((key) => route(key).release);
    const [a = 0, b = 0] = [counts.get('a'), counts.get('b')];
    expect(Math.abs(a - b)).toBeLessThan(3.3 * Math.sqrt(a + b));
  });

  test('slots are spread evenly, and known to the last bit', () => {
    const counts = countReleases((key) => String(Math.floor(slotOf(key, 's') / 1000)));
    for (const count of counts.values())
      expect(Math.abs(count - KEYS / 10)).toBeLessThan(4 * Math.sqrt(KEYS / 10));
    // xxHash32, seed 0, of "changeover:4711": other gateways have to come to the same.
    expect(slotOf('4711', 'changeover')).toMatchInlineSnapshot(`5750`);
  });
});

function countReleases(releaseOf: (key: string) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let key = 0; key < KEYS; key += 1) {
    const release = releaseOf(String(10_000_000 + key));
    counts.set(release, (counts.get(release) ?? 0) + 1);
  }
  return counts;
}
