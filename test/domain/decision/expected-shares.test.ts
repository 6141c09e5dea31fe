import { describe, expect, it } from 'vitest';
import { expectedShares } from '../../../src/domain/decision/expected-shares.ts';
import { unitsByShare } from '../../../src/domain/decision/joined-shares.ts';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { TrafficSplit } from '../../../src/domain/routes/table.ts';

const counting = { unit: 'account', control: true, timeoutMs: 10_000, windowMs: 0 } as const;
const split: TrafficSplit = {
  key: { from: 'header', name: 'x-account' },
  policy: { kind: 'hash', salt: 's', weights: { '2.0-a': 30, '2.0-b': 50, '1.4': 20 } },
  withoutKey: '1.4',
  baseline: '1.4',
  share: 0.25,
  salt: 'trial',
  pulled: [],
  counting,
};

const tails = {
  kind: 'tail' as const,
  rules: [
    { tail: 'odd' as const, to: '2.0-a' },
    { tail: [0, 2], to: '2.0-b' },
  ],
};

it('are not known of requests: how many there are of an account is up to it', () => {
  expect(expectedShares({ ...split, counting: { ...counting, unit: 'request' } })).toBeUndefined();
});

describe('the shares that arms are to have', () => {
  it.each<[string, TrafficSplit, Record<string, number> | undefined]>([
    [
      'are weight times the stage, and for the control arm what is held back and its own weight',
      split,
      { '2.0-a': 0.075, '2.0-b': 0.125, '1.4': 0.8 },
    ],
    [
      'are of the candidates alone without a control arm',
      { ...split, counting: { ...counting, control: false } },
      { '2.0-a': 0.375, '2.0-b': 0.625 },
    ],
    [
      'leave a pulled version out with all of its keys',
      { ...split, pulled: ['2.0-b'] },
      { '2.0-a': 0.075 / 0.5, '1.4': 0.425 / 0.5 },
    ],
    [
      'have no control arm where nothing stays on the baseline',
      onlyCandidates(),
      { '2.0-a': 0.5, '2.0-b': 0.5 },
    ],
    [
      'follow the slots of the hash where weights do not divide',
      { ...onlyCandidates(), policy: { kind: 'hash', salt: 's', weights: { a: 1, b: 1, c: 1 } } },
      { a: 0.3334, b: 0.3333, c: 0.3333 },
    ],
    ['are unknown where nothing is counted', uncounted(), undefined],
    [
      'are by tails those of the candidates together, and what the stage holds back of them',
      { ...split, policy: tails },
      { '2.0-a + 2.0-b': 0.25, '1.4': 0.75 },
    ],
    [
      'are unknown between tails: who has which is not ours to say',
      { ...split, policy: tails, counting: { ...counting, control: false } },
      undefined,
    ],
    [
      'are unknown where tails are the baseline’s own',
      { ...split, policy: { ...tails, otherwise: '1.4' } },
      undefined,
    ],
    ['are by tails unknown where nothing is held back', { ...split, policy: tails, share: 1 }, undefined],
    [
      'are unknown where no arm is left',
      { ...split, pulled: ['2.0-a', '2.0-b'], counting: { ...counting, control: false } },
      undefined,
    ],
  ])('%s', (_, given, expected) => {
    const shares = expectedShares(given);
    expect(Object.keys(shares ?? {}).sort()).toEqual(Object.keys(expected ?? {}).sort());
    for (const [release, share] of Object.entries(expected ?? {})) {
      expect(shares?.[release]).toBeCloseTo(share, 12);
    }
  });

  it('are those by which keys really fall', () => {
    const route = compileSplit(split);
    const seen: Record<string, number> = {};
    const keys = 40_000;
    for (let n = 0; n < keys; n++) {
      const { release } = route(`account-${n}`);
      seen[release] = (seen[release] ?? 0) + 1;
    }
    for (const [release, share] of Object.entries(expectedShares(split) ?? {})) {
      const sd = Math.sqrt((share * (1 - share)) / keys);
      expect(Math.abs((seen[release] ?? 0) / keys - share)).toBeLessThan(4 * sd);
    }
  });

  it('are by tails those that stages hold back, whatever digits customers have', () => {
    const given = { ...split, policy: tails };
    const route = compileSplit(given);
    const seen: Record<string, number> = {};
    const keys = 20_000;
    for (let n = 0; n < keys; n++) {
      // Nine of ten end in 1, the others in 2.
      const { release } = route(`${n}${n % 10 === 0 ? 2 : 1}`);
      seen[release] = (seen[release] ?? 0) + 1;
    }
    const shares = expectedShares(given) ?? {};
    for (const [together, count] of Object.entries(unitsByShare(seen, shares))) {
      const share = shares[together] ?? 0;
      expect(Math.abs(count / keys - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / keys));
    }
  });
});

function onlyCandidates(): TrafficSplit {
  return { ...split, share: 1, policy: { kind: 'hash', salt: 's', weights: { '2.0-a': 1, '2.0-b': 1 } } };
}

function uncounted(): TrafficSplit {
  const { counting: _, ...rest } = split;
  return rest;
}
