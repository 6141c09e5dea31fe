import { describe, expect, test } from 'vitest';
import { problemsAfter, type Edits } from './example.ts';

const ALL = { stages: [{ share: '100%', length: '1h' }], baselineShare: '0%' };
/** The first stage leaves most on the baseline. */
const EARLY = [
  { share: '5%', length: '1h' },
  { share: '100%', length: '1h' },
];
const HASH = { kind: 'hash', weights: { '2.0-a': 1, '2.0-b': 1 } };
const LOSS = { 'guardrails.lossBudget': 200 };
const byAge = (young: unknown, old: unknown): Edits => ({
  'traffic.key': { from: 'header', name: 'x-account', lookup: 'ages.csv' },
  'traffic.policy': {
    kind: 'range',
    rules: [
      { below: 35, to: young },
      { from: 35, to: old },
    ],
  },
});

describe('guardrails that compare a candidate with the baseline', () => {
  test.each<[string, Edits, RegExp]>([
    [
      'without anybody on the baseline at last',
      { trial: ALL, 'traffic.policy': HASH, 'guardrails.errorsAgainstBaseline': { times: 2 } },
      /^guardrails.errorsAgainstBaseline: must have a baseline to compare with: the stages leave none/,
    ],
    [
      'without anybody on the baseline in the last stage, where what was lost is added up',
      { trial: { ...ALL, stages: EARLY }, 'traffic.policy': HASH, ...LOSS },
      /^guardrails.lossBudget: must have a baseline to compare with: the last stage leaves none/,
    ],
    [
      'on whom the policy leaves one group, and none of those that it deals',
      {
        trial: ALL,
        ...byAge('1.4', { '2.0-a': 1, '2.0-b': 1 }),
        'guardrails.errorsAgainstBaseline': { times: 2 },
      },
      /^guardrails.errorsAgainstBaseline: must have a baseline to compare with: the stages leave none/,
    ],
    [
      'that has other customers, who may be what fails',
      byAge('2.0-a', '2.0-b'),
      /^guardrails.errorsAgainstBaseline: must not be there: traffic.policy \(range\) gives candidates other customers/,
    ],
    [
      'that has other customers, each group being one version’s',
      { ...LOSS, ...byAge('2.0-a', '2.0-b') },
      /^guardrails.lossBudget: must not be there: it compares totals, and traffic.policy \(range\)/,
    ],
    [
      'that has other customers, groups being dealt differently',
      { ...LOSS, ...byAge({ '2.0-a': 9, '2.0-b': 1 }, { '2.0-a': 1, '2.0-b': 9 }) },
      /^guardrails.lossBudget: must not be there: it compares totals/,
    ],
    [
      'by outcomes that gateways do not count',
      {
        ...LOSS,
        'measure.volume': { kind: 'successes' },
        'measure.source': { from: 'http', url: 'https://counts.example.com/v1', maxAge: '1m' },
      },
      /^guardrails.lossBudget: must not be there without measure.volume.match/,
    ],
  ])('are refused %s', (_, edits, message) => {
    expect(problemsAfter(edits)).toContainEqual(expect.stringMatching(message));
  });

  test.each<[string, Edits]>([
    ['beside a baseline share', LOSS],
    [
      'beside what the first stage holds back',
      {
        trial: { ...ALL, stages: EARLY },
        'traffic.policy': HASH,
        'guardrails.errorsAgainstBaseline': { times: 2 },
      },
    ],
    ['beside what the last stage holds back', { ...LOSS, 'trial.stages': [{ share: '90%', length: '1h' }] }],
    [
      'beside what the policy itself gives to the baseline',
      { ...LOSS, trial: ALL, 'traffic.policy': { ...HASH, weights: { ...HASH.weights, '1.4': 1 } } },
    ],
    [
      'where groups are dealt differently, each at random, and some of each are left to the baseline',
      {
        trial: ALL,
        ...byAge({ '2.0-a': 8, '2.0-b': 1, '1.4': 1 }, { '2.0-a': 1, '2.0-b': 8, '1.4': 1 }),
        'guardrails.errorsAgainstBaseline': { times: 2 },
      },
    ],
    [
      'where all groups are dealt alike',
      { ...LOSS, ...byAge({ '2.0-a': 1, '2.0-b': 1 }, { '2.0-a': 5, '2.0-b': 5 }) },
    ],
  ])('are possible %s', (_, edits) => {
    const guardrails = problemsAfter(edits).filter((problem) => problem.startsWith('guardrails'));
    expect(guardrails).toEqual([]);
  });
});
