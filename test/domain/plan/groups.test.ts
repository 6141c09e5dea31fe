import { describe, expect, test } from 'vitest';
import { splitInsideGroups } from '../../../src/domain/decision/group-words.ts';
import { ruleSpecOf } from '../../../src/domain/decision/spec-of.ts';
import { formatPlanProblems } from '../../../src/domain/plan/problem.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import { splitOf } from '../../../src/domain/upgrade/route-changes.ts';
import { editedPlan, examplePlan, problemsAfter, type Edits } from './example.ts';

const AGES = {
  kind: 'range',
  rules: [
    { below: 35, to: { '2.0-a': 50, '2.0-b': 50 } },
    { from: 35, to: { '2.0-a': 1, '2.0-b': 3 } },
  ],
};
const DEALT: Edits = { 'traffic.policy': AGES, 'traffic.key.lookup': 'ages.csv' };

describe('a plan whose groups are dealt at random', () => {
  test('is understood, and its split says so', () => {
    expect(problemsAfter(DEALT)).toEqual([]);
    const read = readPlan(editedPlan(DEALT));
    if (!read.ok) throw new Error('a problem');
    expect(splitOf(read.plan, 1, 'u').policy).toEqual(AGES);
    expect(splitOf(read.plan, 1, 'u')).not.toHaveProperty('account');
  });

  test('may find the account elsewhere than the group', () => {
    const account = { from: 'cookie', name: 'account' };
    const edits = { 'traffic.policy': AGES, 'traffic.account': account };
    expect(problemsAfter(edits)).toEqual([]);
    const read = readPlan(editedPlan(edits));
    expect(read.ok && splitOf(read.plan, 1, 'u').account).toEqual(account);
  });

  test('is what a verdict on one candidate’s groups advises: the rest of each is held back as a control', () => {
    const one = examplePlan();
    const policy = (to: unknown) => ({
      kind: 'range',
      rules: [
        { below: 35, to },
        { from: 35, to: '1.4' },
      ],
    });
    const edits = (to: unknown): Edits => ({
      ...{ candidates: one.candidates.slice(0, 1), deployment: { 'home-page': 'blue' } },
      ...{ 'clusters.green': undefined, 'guardrails.errorsAgainstBaseline': undefined },
      ...{ 'traffic.key.lookup': 'ages.csv', 'traffic.policy': policy(to) },
    });
    const specWith = (to: unknown, baselineShare: string | undefined) => {
      const read = readPlan(editedPlan({ ...edits(to), 'trial.baselineShare': baselineShare }));
      if (!read.ok) throw new Error(formatPlanProblems(read.problems));
      return ruleSpecOf(read.plan);
    };
    const bySegment = specWith('2.0-a', undefined);
    expect(bySegment).toMatchObject({ comparison: 'segment', arms: [{ version: '2.0-a' }] });
    expect(splitInsideGroups(bySegment)).toContain(
      'keep a baseline share (trial.baselineShare), and in the rules of traffic.policy write `to: { 2.0-a: 100 }`',
    );
    const advised = specWith({ '2.0-a': 100 }, '10%');
    expect(advised).toMatchObject({
      comparison: 'stratified',
      arms: [{ version: '1.4' }, { version: '2.0-a' }],
    });
  });

  test.each<[name: string, edits: Edits, problem: RegExp]>([
    [
      'no account to deal',
      { 'traffic.policy': AGES },
      /^traffic.account: must say where the account \(card, customer …\) is found/,
    ],
    [
      'a group without one of the candidates',
      { ...DEALT, 'traffic.policy': { ...AGES, rules: [AGES.rules[0], { from: 35, to: { '2.0-a': 1 } }] } },
      /^traffic.policy.rules\[1\].to: must have a weight above 0 for every candidate, and has none for 2.0-b/,
    ],
    [
      'a candidate alone in its group',
      { ...DEALT, 'traffic.policy': { ...AGES, rules: [AGES.rules[0], { from: 35, to: '2.0-a' }] } },
      /^traffic.policy.rules\[1\].to: must be weights as in other groups, or the baseline 1.4: alone in its group/,
    ],
    [
      'a weight for an unknown version',
      {
        ...DEALT,
        'traffic.policy': {
          ...AGES,
          rules: [AGES.rules[0], { from: 35, to: { '2.0-a': 1, '2.0-b': 1, '2.0-c': 1 } }],
        },
      },
      /^traffic.policy.rules\[1\].to\["2.0-c"\]: must be a version of this plan/,
    ],
    [
      'a weight below 0',
      { ...DEALT, 'traffic.policy': { ...AGES, otherwise: { '2.0-a': -1, '2.0-b': 1 } } },
      /^traffic.policy.otherwise\["2.0-a"\]: must be 0 or more/,
    ],
    [
      'a target that is neither',
      { ...DEALT, 'traffic.policy': { ...AGES, rules: [AGES.rules[0], { from: 35, to: 2 }] } },
      /^traffic.policy.rules\[1\].to: must be a version in quotes, such as "1.4", or weights such as/,
    ],
    [
      'a salt where nothing is dealt',
      {
        'traffic.policy': {
          kind: 'range',
          salt: 's',
          rules: [
            { below: 35, to: '2.0-a' },
            { from: 35, to: '2.0-b' },
          ],
        },
      },
      /^traffic.policy.salt: must not be there: it belongs to groups that are dealt by weights/,
    ],
    [
      'an account where nothing is dealt',
      { 'traffic.account': { from: 'header', name: 'x-card' } },
      /^traffic.account: must not be there/,
    ],
    [
      'groups that are dealt differently, and a rule that adds them up',
      { ...DEALT, decision: { rule: 'max-efficacy' } },
      /^decision.rule: must be anytime or fixed-sample: max-efficacy counts all groups together, and they are dealt differently/,
    ],
    [
      'groups that are dealt differently, and a source that adds them up',
      {
        ...DEALT,
        'measure.source': {
          from: 'http',
          url: 'http://10.0.0.3:9/',
        },
      },
      /^measure.source.from: must be gateways: http counts all groups together/,
    ],
    [
      'an account in baggage, and an HAProxy',
      { ...DEALT, 'traffic.account': { from: 'baggage' }, 'gateways[0].kind': 'haproxy' },
      /^traffic.account.from: must be header or cookie: gw-1 is an HAProxy/,
    ],
  ])('with %s says so', (_name, edits, problem) => {
    expect(problemsAfter(edits)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });
});
