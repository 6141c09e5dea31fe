import { describe, expect, test } from 'vitest';
import { formatPlanProblems } from '../../../src/domain/plan/problem.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import { editedPlan, examplePlan, problemsAfter } from './example.ts';

describe('readPlan', () => {
  test('reads the example plan', () => {
    const read = readPlan(examplePlan());
    expect(read.ok ? '' : formatPlanProblems(read.problems)).toBe('');
  });

  test('fills in safe defaults', () => {
    const plan = examplePlan();
    delete plan.drain;
    delete plan.trial;
    delete plan.approval;
    delete plan.guardrails;
    const read = readPlan(plan);
    if (!read.ok) throw new Error(formatPlanProblems(read.problems));
    expect(read.plan.drain).toEqual({
      manner: 'together',
      batchSize: 1,
      deadlineMs: 600_000,
      atDeadline: 'pause',
    });
    expect(read.plan.approval).toBe('required');
    expect(read.plan.trial.stages.map((stage) => stage.share)).toEqual([0.05, 0.25, 1]);
    expect(read.plan.guardrails).toEqual({ errorRate: { max: 0.05 }, noDataMs: 30_000, alpha: 0.001 });
  });

  test('takes key and transactions of a service behind others from what their edge writes', () => {
    const edits = { 'traffic.key': { from: 'baggage' }, 'traffic.transactions.id': { from: 'baggage' } };
    const read = readPlan(editedPlan(edits));
    if (!read.ok) throw new Error(formatPlanProblems(read.problems));
    expect(read.plan.traffic.key).toEqual({ from: 'baggage', name: 'changeover.key' });
    expect(read.plan.traffic.transactions?.id).toEqual({ from: 'baggage', name: 'changeover.transaction' });
    expect(problemsAfter({ 'traffic.transactions.id': { from: 'body', name: 'x' } })).toEqual([
      expect.stringMatching(/^traffic.transactions.id.from: .*header, cookie or baggage/),
    ]);
    expect(problemsAfter({ 'traffic.key': { from: 'baggage', name: 'a b' } })).toEqual([
      expect.stringMatching(/^traffic.key.name: .*must be the key of a baggage member/),
    ]);
    expect(
      problemsAfter({ ...edits, 'gateways[0].kind': 'haproxy', decision: { rule: 'max-efficacy' } }),
    ).toEqual([
      expect.stringMatching(/^traffic.key.from: must be header or cookie: gw-1 is an HAProxy/),
      expect.stringMatching(/^traffic.transactions.id.from: must be header or cookie/),
    ]);
  });

  test('names all problems at once, of shape and of sense, in the order of the plan', () => {
    const problems = problemsAfter({
      'clusters.blue.servers[2].agent': '10.0.0.3:7070',
      'deployment.second-page': 'blue',
      gatewyas: [],
      'trial.stages[1].share': '2%',
      'candidates[0].packages[0].sha256': undefined,
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'gatewyas',
      'candidates[0].packages[0].sha256',
      'candidates[1].mode',
      'clusters.blue.servers[2].agent',
      'clusters.green',
      'trial.stages[1].share',
    ]);
  });
});

describe('a wrong plan', () => {
  test.each(['text', 42, null, undefined, [], [1], {}])('that is %j says what a plan is', (input) => {
    const read = readPlan(input);
    expect(read.ok).toBe(false);
  });

  test.each([
    ['gatewyas', [], 'gateways'],
    ['drain.deadlin', '1m', 'deadline'],
    ['clusters.blue.servers[0].agnet', 1, 'agent'],
    ['drain.manner', 'roling', 'rolling'],
    ['deployment.home-page', 'bleu', 'blue'],
    ['traffic.policy.rules[0].to', '2.0a', '2.0-a'],
    ['baseline.version', 1.4, '"1.4", in quotes'],
  ])('with %s: %j suggests %s', (field, held, suggestion) => {
    const read = readPlan(editedPlan({ [field]: held }));
    expect(read.ok ? [] : read.problems).toContainEqual(expect.objectContaining({ field, suggestion }));
  });

  test('is never shown with its secrets', () => {
    const read = readPlan(
      editedPlan({ 'gateways[0].admin': 'http://bob:hunter2@10.0.0.1:7080', token: 'hunter2' }),
    );
    const text = read.ok ? '' : formatPlanProblems(read.problems);
    expect(text).toContain('token held a value that is not shown');
    expect(text).not.toContain('hunter2');
  });

  test('one mistake gives one problem, not a trail of others', () => {
    expect(problemsAfter({ 'clusters.blue.servers[0].os': 'linus' })).toHaveLength(1);
    expect(problemsAfter({ 'baseline.version': 1.4 })).toHaveLength(1);
    expect(problemsAfter({ 'traffic.policy.rules[0].to': undefined })).toHaveLength(1);
    expect(problemsAfter({ clusters: undefined })).toHaveLength(1);
  });

  test('with keys that reach into JavaScript, or nested without end, is refused', () => {
    const polluted: unknown = JSON.parse('{"service": {"__proto__": {"x": 1}}}');
    expect(readPlan(polluted)).toMatchObject({ ok: false, problems: [{ field: 'service' }] });
    let deep: unknown = 1;
    for (let level = 0; level < 20_000; level += 1) deep = [deep];
    expect(readPlan(deep)).toMatchObject({ ok: false });
  });
});
