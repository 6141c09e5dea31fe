import type { Lead } from '../../src/domain/policy/leader.ts';
import type { KeySource, TrafficPolicy } from '../../src/domain/policy/policy.ts';

/** A policy, and where its keys are found. */
export interface KeyCase {
  readonly key: KeySource;
  readonly policy: TrafficPolicy;
  /** Where the account is found by which groups are dealt; then the key is one of `GROUP_KEYS`. */
  readonly account?: KeySource;
  readonly share: number;
  readonly withoutKey?: string;
  readonly pulled?: string[];
  /** Who is in front, and what it gets. */
  readonly lead?: Omit<Lead, 'candidates'>;
}

export const CASES: readonly KeyCase[] = [
  {
    key: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: '2.0-a' },
        { tail: [0, 2, 4], to: '2.0-b' },
      ],
      otherwise: '1.0',
    },
    share: 0.25,
  },
  {
    key: { from: 'cookie', name: 'account' },
    policy: { kind: 'hash', salt: 'spring, 2026: é', weights: { '2.0-a': 1, '2.0-b': 2, '1.0': 0.5 } },
    share: 0.3333,
  },
  {
    key: { from: 'query', name: 'account' },
    policy: {
      kind: 'range',
      rules: [
        { below: -5, to: '2.0-b' },
        { from: 0, below: 35, to: '2.0-a' },
        { from: 35, below: 60, to: '2.0-b' },
      ],
      otherwise: '1.0',
    },
    share: 1,
  },
  {
    key: { from: 'path', segment: 2 },
    policy: {
      kind: 'values',
      rules: [
        { values: ['zürich', 'basel stadt', '4711', "~'!()*", 'a:b|c;d\\e,f%'], to: '2.0-a' },
        { values: ['bern'], to: '2.0-b' },
      ],
      otherwise: '2.0-b',
    },
    share: 0.5,
  },
  {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      rules: [
        { below: 35, to: '2.0-a' },
        { from: 35, to: '2.0-b' },
      ],
    },
    share: 0.5,
    pulled: ['2.0-b'],
  },
  {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      salt: 'spring, 2026: é',
      rules: [
        { below: 35, to: { '2.0-a': 1, '2.0-b': 2, '1.0': 0.5 } },
        { from: 35, below: 60, to: { '2.0-a': 3, '2.0-b': 0.01 } },
        { from: 60, to: '1.0' },
      ],
    },
    share: 0.3333,
  },
  {
    key: { from: 'path', segment: 2 },
    account: { from: 'cookie', name: 'account' },
    policy: {
      kind: 'values',
      rules: [
        { values: ['zürich', 'basel stadt', '4711'], to: { '2.0-a': 1, '2.0-b': 1 } },
        { values: ['bern'], to: { '2.0-a': 1, '2.0-b': 9 } },
        { values: ['genf'], to: '1.0' },
      ],
      otherwise: { '2.0-a': 9_999, '2.0-b': 1 },
    },
    share: 0.5,
    withoutKey: '2.0-a',
    pulled: ['2.0-b'],
  },
  {
    key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
    policy: {
      kind: 'range',
      rules: [
        { below: 35, to: { '2.0-a': 9, '2.0-b': 1 } },
        { from: 35, to: { '2.0-a': 1, '2.0-b': 2, '1.0': 1 } },
      ],
    },
    share: 0.5,
    lead: { leader: '2.0-b', share: 0.7, out: [] },
  },
];

/** Keys of the groups where accounts are found elsewhere. */
export const GROUP_KEYS = ['zürich', 'bern', 'chur', undefined, 'genf', '4711', 'basel stadt', '60'];

/** Keys that two implementations are likely to read differently, then ordinary ones. */
export function* keys(): Iterable<string | undefined> {
  yield* [
    undefined,
    '',
    ' ',
    '0',
    '-0',
    '-1',
    '-5',
    '-5.0',
    '-5.01',
    '-4.99',
    '-0.5',
    '34.999',
    '35',
    '35.',
    '.5',
  ];
  yield* [
    '0035',
    '00000000000000000000034',
    '99999999999999999999',
    '-99999999999999999999',
    '1e3',
    '0x10',
    '+7',
  ];
  yield* [
    '999999999999999.99999',
    '17.9999999999999999999999',
    '60',
    '59.9',
    '--1',
    '1.2.3',
    'zürich',
    'basel stadt',
  ];
  yield* [
    'bern',
    '4711',
    "~'!()*",
    'a:b|c;d\\e,f%',
    '%41',
    '%zz',
    '50%',
    'a,b',
    'a, 7',
    '"7"',
    '"',
    '""',
    'x=8',
    '日本8',
  ];
  yield* [
    '\xff\xfe9',
    '\x80',
    'é',
    '9'.repeat(255),
    '9'.repeat(256),
    '9'.repeat(257),
    'x'.repeat(1_000) + '4',
  ];
  yield* [
    'a+b',
    'a%2Bb',
    '%2F',
    '%00',
    '%C3%A9',
    '%ff7',
    '%E',
    '?',
    'a?b',
    'a&b',
    '#',
    'a#1',
    '\t7',
    '7\t',
    '7 ',
  ];
  for (let i = 0; ; i += 1) {
    yield String(i * 7_919);
    yield `cust-${(i * 104_729) % 1_000_003}`;
    yield String((i % 90) - 10);
    yield `${(i % 80) - 10}.${i % 100}`;
    yield `k${i}ü${i % 10}`;
  }
}
