import { describe, expect, test } from 'vitest';
import { countingOf } from '../../../src/domain/decision/counting-of.ts';
import { ruleSpecOf } from '../../../src/domain/decision/spec-of.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import type { Plan } from '../../../src/domain/plan/schema.ts';
import { outlineBatches } from '../../../src/domain/upgrade/outline.ts';
import { editedPlan, problemsAfter, type Edits } from './example.ts';

function plan(edits: Edits = {}): Plan {
  const read = readPlan(editedPlan(edits));
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.plan;
}

const NO_BASELINE = { 'trial.baselineShare': '0%', 'guardrails.errorsAgainstBaseline': undefined };
const ANYTIME = { rule: 'anytime', epsilon: '1%', expectedRate: '10%' };

describe('the decision of a plan', () => {
  test('looks at any time where it says nothing, and counts accounts', () => {
    expect(ruleSpecOf(plan({ decision: undefined }))).toMatchObject({
      rule: 'anytime',
      unit: 'account',
      comparison: 'systematic',
    });
  });

  test('becomes a rule with the baseline as control where it keeps a share', () => {
    expect(ruleSpecOf(plan({ decision: ANYTIME }))).toMatchObject({
      rule: 'anytime',
      delta: 0.05,
      epsilon: 0.01,
      arms: [
        { version: '1.4', role: 'baseline' },
        { version: '2.0-a', role: 'candidate' },
        { version: '2.0-b', role: 'candidate' },
      ],
    });
    const alone = ruleSpecOf(plan({ decision: ANYTIME, ...NO_BASELINE }));
    expect(alone.arms.map(({ version }) => version)).toEqual(['2.0-a', '2.0-b']);
  });

  test('on amounts counts differences in parts of the cap', () => {
    const spec = ruleSpecOf(
      plan({
        decision: { rule: 'anytime', epsilon: 0.5, cap: 50 },
        'measure.volume': { kind: 'amount', amountHeader: 'x-amount' },
      }),
    );
    expect(spec).toMatchObject({ epsilon: 0.01, cap: 50 });
  });

  test('by accounts at several gateways says how they come, or is told that the error rate does not hold', () => {
    const several = {
      decision: ANYTIME,
      gateways: ['west', 'east'].map((name) => ({ name, kind: 'embedded', admin: `http://${name}:9001` })),
    };
    expect(ruleSpecOf(plan(several)).mayEnterTwice).toBe(true);
    expect(countingOf(plan(several))?.gateways).toBeUndefined();
    const divided = plan({ ...several, decision: { ...ANYTIME, accountsAt: 'any-gateway' } });
    expect(countingOf(divided)?.gateways).toEqual(['east', 'west']);
    expect(ruleSpecOf(divided).mayEnterTwice).toBeUndefined();
    const apart = plan({ ...several, decision: { ...ANYTIME, accountsAt: 'one-gateway' } });
    expect(countingOf(apart)?.gateways).toBeUndefined();
    expect(ruleSpecOf(apart).mayEnterTwice).toBeUndefined();
  });

  test('by the greatest efficacy goes by requests', () => {
    expect(plan({ decision: { rule: 'max-efficacy' } }).decision).toMatchObject({ unit: 'request' });
  });

  test('by the greatest efficacy has amounts counted one by one where it caps them, else by ordinary counters', () => {
    const amounts = { 'measure.volume': { kind: 'amount', amountHeader: 'x-amount' } };
    const open = plan({ decision: { rule: 'max-efficacy' }, ...amounts });
    expect(countingOf(open)).toBeUndefined();
    const capped = plan({ decision: { rule: 'max-efficacy', cap: 50 }, ...amounts });
    expect(countingOf(capped)).toMatchObject({ unit: 'request', cap: 50 });
    expect(ruleSpecOf(capped)).toMatchObject({ rule: 'max-efficacy', cap: 50, comparesCapped: true });
  });

  test('by the greatest efficacy may go by accounts where amounts are capped, or another source counts', () => {
    const byAccount = { rule: 'max-efficacy', unit: 'account' };
    const amounts = { 'measure.volume': { kind: 'amount', amountHeader: 'x-amount' } };
    expect(countingOf(plan({ decision: { ...byAccount, cap: 50 }, ...amounts }))).toMatchObject({
      unit: 'account',
      cap: 50,
    });
    const source = { from: 'http', url: 'https://counts.example.com/v1' };
    expect(plan({ decision: byAccount, 'measure.source': source }).decision.unit).toBe('account');
  });

  test('a plan that a history recorded before goes by ordinary counters to its end, capped or not', () => {
    const capped = plan({
      decision: { rule: 'max-efficacy', cap: 50 },
      'measure.volume': { kind: 'amount', amountHeader: 'x-amount' },
    });
    const { comparesCapped: _, ...decision } = capped.decision;
    expect(countingOf({ ...capped, decision })).toBeUndefined();
    expect(ruleSpecOf({ ...capped, decision })).not.toHaveProperty('comparesCapped');
  });

  test.each<[string, Edits, RegExp]>([
    [
      'amounts of other requests than are counted, capped request by request',
      {
        decision: { rule: 'max-efficacy', cap: 50 },
        'measure.allocated': { method: 'GET', path: '/wealth' },
        'measure.volume': { kind: 'amount', amountHeader: 'x-amount', match: { method: 'POST' } },
      },
      /^decision.unit: must be account: requests that measure.allocated counts are never those/,
    ],
    [
      'accounts, where requests are counted',
      { decision: { rule: 'max-efficacy', unit: 'account' } },
      /^decision.unit: must be request: max-efficacy goes by the gateways' counters of requests/,
    ],
    [
      'an unknown rule',
      { decision: { rule: 'anyhow' } },
      /^decision.rule: must be one of anytime, max-efficacy or fixed-sample/,
    ],
    [
      'a margin that its rule has no use for',
      { decision: { rule: 'max-efficacy', epsilon: '1%' } },
      /^decision.epsilon: must not be there: it belongs to anytime/,
    ],
    [
      'a margin of all customers',
      { decision: { ...ANYTIME, epsilon: '100%' } },
      /^decision.epsilon: must be less than 100%/,
    ],
    [
      'an error of nothing',
      { decision: { delta: '0%' } },
      /^decision.delta: must be more than 0% and at most 50%/,
    ],
    [
      'a fixed sample without its number',
      { decision: { rule: 'fixed-sample' } },
      /^decision.unitsPerVersion: must say how many/,
    ],
    [
      'a cap on successes',
      { decision: { cap: 5 } },
      /^decision.cap: must not be there: it belongs to amount and clicks/,
    ],
    [
      'a share of successes that is expected of amounts',
      {
        decision: { rule: 'anytime', cap: 50, expectedRate: '10%' },
        'measure.volume': { kind: 'amount', amountHeader: 'x-amount' },
      },
      /^decision.expectedRate: must not be there: it is a share of successes, and kind is amount/,
    ],
    [
      'amounts without a cap',
      { decision: { rule: 'anytime' }, 'measure.volume': { kind: 'amount', amountHeader: 'x-amount' } },
      /^decision.cap: must say above what/,
    ],
    [
      'a candidate that may be worse than nothing',
      { decision: { ...ANYTIME, nonInferiority: '1%' }, ...NO_BASELINE },
      /^decision.nonInferiority: must have a baseline to compare with/,
    ],
    [
      'a leader with less than its part',
      { decision: { ...ANYTIME, leaderShare: '40%' } },
      /^decision.leaderShare: must be less than 100% and no less than an equal share of 2 candidates/,
    ],
    [
      'a period beyond the deadline',
      { decision: { ...ANYTIME, deadline: '3d', everyFull: '7d' } },
      /^decision.everyFull: must be at most decision.deadline, 3 d/,
    ],
    [
      'a period beyond the stages, where there is no deadline',
      { decision: { ...ANYTIME, everyFull: '7d' }, 'trial.stages': [{ share: '50%', length: '6d' }] },
      /^decision.everyFull: must be at most the length of all stages, 6 d/,
    ],
    [
      'a minimum duration after which no period ends in time',
      { decision: { ...ANYTIME, deadline: '10d', minDuration: '8d', everyFull: '7d' } },
      /^decision.minDuration: must be followed by the end of a whole period of decision.everyFull, 7 d, within decision.deadline, 10 d/,
    ],
    [
      'a period that has settled only after the deadline',
      {
        decision: { ...ANYTIME, deadline: '7d', everyFull: '7d' },
        'measure.source': {
          ...{ from: 'sql', connection: { env: 'CHANGEOVER_METRICS_DB' }, settlement: '1h' },
          ...{ allocated: 'SELECT 1', transactions: 'SELECT 2' },
        },
      },
      /^decision.everyFull: must be at most decision.deadline, 7 d, less measure.source.settlement, 60 min/,
    ],
    [
      'a minimum duration of a rule that has no use for it',
      { decision: { rule: 'max-efficacy', minDuration: '10m' } },
      /^decision.minDuration: must not be there: it belongs to anytime, and rule is max-efficacy/,
    ],
    [
      'a deadline of a rule that decides at the end of the stages',
      { decision: { rule: 'max-efficacy', deadline: '7d' } },
      /^decision.deadline: must not be there: max-efficacy decides at the end of the stages/,
    ],
  ])('names %s', (_what, edits, problem) => {
    const problems = problemsAfter(edits);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
});

test.each<[string, Edits['decision']]>([
  ['as long as the stages', { ...ANYTIME, minDuration: '90m', everyFull: '45m' }],
  [
    'beyond the stages, within the deadline',
    { ...ANYTIME, minDuration: '7d', everyFull: '7d', deadline: '7d' },
  ],
])('times %s are right', (_what, decision) => {
  expect(problemsAfter({ decision })).toEqual([]);
});

describe('the outline of an upgrade', () => {
  test('has every server once, and says what serves meanwhile (invariant 3)', () => {
    const batches = outlineBatches(plan({ 'clusters.main.capacity': 400 }), '2.0-a');
    expect(batches.map(({ part, servers }) => [part, servers.length])).toEqual([
      ['trial', 5],
      ['trial', 1],
      ...Array.from({ length: 6 }, () => ['promotion', 1]),
    ]);
    expect(batches.map(({ serving }) => serving.servers)).toEqual([4, 3, 3, 4, 5, 6, 7, 8]);
    // Only the cluster main states what it can carry: known where it serves alone.
    expect(batches[1]!.serving.perSecond).toBe(1200);
    expect(batches[0]!.serving.perSecond).toBeNull();
  });
});

describe('what counts once', () => {
  test('is an account for an HAProxy too, with windows that it can keep', () => {
    expect(problemsAfter({ 'gateways[0].kind': 'haproxy' })).toEqual([]);
    const long = { 'gateways[0].kind': 'haproxy', 'decision.window': '14d', 'decision.outcomeWithin': '10d' };
    expect(problemsAfter(long)).toEqual([
      'decision.window: must be, with decision.outcomeWithin, at most 23d: gw-1 is an HAProxy, which keeps nothing for longer',
    ]);
  });

  test('is an account, where a request that is allocated can never be the one that succeeds', () => {
    expect(problemsAfter({ 'decision.unit': 'request' })).toEqual([
      expect.stringMatching(/^decision.unit: must be account/),
    ]);
    const same = { 'measure.allocated': { method: 'POST', path: '/wealth/*' } };
    expect(problemsAfter({ ...same, 'decision.unit': 'request' })).toEqual([]);
  });
});

describe('a leader’s share', () => {
  const LEADER = { ...ANYTIME, leaderShare: '60%' };
  const leaderProblems = (edits: Record<string, unknown>): string[] =>
    problemsAfter({ decision: LEADER, ...edits }).filter((one) => one.startsWith('decision.leaderShare'));
  const byAge = (young: unknown, old: unknown) => ({
    'traffic.policy': {
      kind: 'range',
      rules: [
        { below: 35, to: young },
        { from: 35, to: old },
      ],
    },
    'traffic.key': { from: 'header', name: 'x-account', lookup: 'ages.csv' },
  });

  test('is for policies that deal by weights: a hash, or groups', () => {
    const weights = { '2.0-a': 1, '2.0-b': 1 };
    expect(problemsAfter({ decision: LEADER, 'traffic.policy': { kind: 'hash', weights } })).toEqual([]);
    expect(problemsAfter({ decision: LEADER, ...byAge(weights, { '2.0-a': 1, '2.0-b': 9 }) })).toEqual([]);
    expect(problemsAfter({ decision: LEADER, ...byAge(weights, '1.4') })).toEqual([]);
  });

  test('is refused where nothing is dealt', () => {
    expect(leaderProblems({})).toEqual([
      expect.stringMatching(/must not be there: .*deals by weights .*and it is tail without weights/),
    ]);
    expect(leaderProblems(byAge('2.0-a', '2.0-b'))).toEqual([
      expect.stringMatching(/groups of range and values .*and it is range without weights/),
    ]);
  });

  test('is refused where one candidate has nobody to share with', () => {
    const candidates = [{ version: '2.0-a', mode: 'home-page', packages: [] }];
    const policy = { kind: 'hash', weights: { '2.0-a': 1, '1.4': 1 } };
    expect(leaderProblems({ candidates, 'traffic.policy': policy })).toEqual([
      expect.stringContaining('must not be there: one candidate has all that candidates get'),
    ]);
  });

  test('is refused where weights give the baseline keys between those of candidates, in any group', () => {
    const between = {
      'baseline.version': '2.0-aa',
      'trial.baselineShare': '0%',
    };
    const weights = { '2.0-a': 1, '2.0-b': 1 };
    const mixed = { '2.0-a': 1, '2.0-aa': 1, '2.0-b': 1 };
    const refused = [expect.stringContaining('must not be there without trial.baselineShare')];
    expect(leaderProblems({ ...between, 'traffic.policy': { kind: 'hash', weights: mixed } })).toEqual(
      refused,
    );
    expect(leaderProblems({ ...between, ...byAge(weights, mixed) })).toEqual(refused);
    expect(leaderProblems({ ...between, ...byAge(weights, weights) })).toEqual([]);
  });
});
