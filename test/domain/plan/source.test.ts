import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { formatPlanProblems } from '../../../src/domain/plan/problem.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import { planToServiceDefinition } from '../../../src/domain/plan/service-definition.ts';
import { measureTransition } from '../../../src/domain/upgrade/route-changes.ts';
import { serviceDefinitionSchema } from '../../../src/protocol/controller.ts';
import { transitionSchema } from '../../../src/protocol/routes.ts';
import { editedPlan, problemsAfter } from './example.ts';

const PROMETHEUS = { from: 'prometheus', url: 'https://prometheus.example.com', allocated: 'a', volume: 'b' };
const SQL = {
  from: 'sql',
  connection: { env: 'CHANGEOVER_METRICS_DB' },
  allocated: 'SELECT 1',
  transactions: 'SELECT 2',
};
const HTTP = { from: 'http', url: 'https://counts.example.com/v1' };
const SUCCESSES = { kind: 'successes' };

function planWith(source: object) {
  const read = readPlan(editedPlan({ 'measure.volume': SUCCESSES, 'measure.source': source }));
  if (!read.ok) throw new Error(formatPlanProblems(read.problems));
  return read.plan;
}

describe('a metrics source of a plan', () => {
  test('has safe defaults', () => {
    expect(planWith(PROMETHEUS).measure.source).toMatchObject({
      label: 'version',
      settleMs: 30_000,
      maxAgeMs: 120_000,
    });
    expect(planWith(SQL).measure.source).toMatchObject({ settlementMs: 3_600_000, timeoutMs: 20_000 });
    expect(planWith(HTTP).measure.source).toMatchObject({ maxAgeMs: 120_000 });
    expect(planWith({ from: 'gateways' }).measure.source).toEqual({ from: 'gateways' });
  });

  test('is shown in the documentation as it is read', () => {
    const text = readFileSync(new URL('../../../docs/metrics-sources.md', import.meta.url), 'utf8');
    const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => parse(yaml) as object);
    expect(examples.map((source) => planWith(source).measure.source?.from)).toEqual([
      'prometheus',
      'sql',
      'http',
    ]);
  });

  test('does not travel to the gateways', () => {
    const plan = planWith(SQL);
    const transition = measureTransition(plan);
    const definition = planToServiceDefinition(plan);
    expect(transitionSchema.parse(transition)).toEqual(transition);
    expect(serviceDefinitionSchema.parse(definition).measure).toEqual(definition.measure);
    expect(JSON.stringify([transition, definition])).not.toContain('CHANGEOVER_METRICS');
  });

  test('that is not the gateways needs no header with the amount', () => {
    const amount = {
      'measure.volume': { kind: 'amount' },
      'decision.cap': 500,
      'decision.expectedRate': undefined,
    };
    expect(problemsAfter({ ...amount, 'measure.source': { ...SQL, currency: 'EUR' } })).toEqual([]);
    expect(problemsAfter({ ...amount, 'measure.source': { from: 'gateways' } })).toEqual([
      expect.stringMatching(/^measure.volume.amountHeader: must name/),
    ]);
  });

  test.each<[string, object, RegExp]>([
    [
      'of an unknown kind',
      { from: 'prometeus' },
      /^measure.source.from: must be one of gateways, prometheus, sql or http/,
    ],
    [
      'whose secret is written out',
      { ...SQL, connection: 'postgres://u:p@db/x' },
      /^measure.source.connection: must be/,
    ],
    [
      'with another secret of the worker',
      { ...SQL, connection: { env: 'AWS_SECRET' } },
      /^measure.source.connection.env: must be .* begins with CHANGEOVER_METRICS_/,
    ],
    [
      'with credentials in its address',
      { ...HTTP, url: 'https://u:p@x.example' },
      /^measure.source.url: must be an address without credentials/,
    ],
    [
      'of several statements',
      { ...SQL, allocated: 'SELECT 1; DROP TABLE x' },
      /^measure.source.allocated: must be one SELECT/,
    ],
    [
      'that names an unknown version',
      { ...HTTP, arms: { '2.0-c': 'x' } },
      /^measure.source.arms\["2.0-c"\]: must be a version of this plan/,
    ],
    [
      'with one name for two versions',
      { ...HTTP, arms: { '2.0-a': 'x', '2.0-b': 'x' } },
      /^measure.source.arms\["2.0-b"\]: must be a name of its own: the source calls version 2.0-a x already/,
    ],
    [
      'with the name of another version',
      { ...HTTP, arms: { '2.0-a': '1.4' } },
      /^measure.source.arms\["2.0-a"\]: must be a name of its own/,
    ],
    [
      'with squares of successes',
      { ...PROMETHEUS, squares: 'c' },
      /^measure.source.squares: must not be there/,
    ],
    [
      'with a currency of successes',
      { ...SQL, currency: 'EUR' },
      /^measure.source.currency: must not be there/,
    ],
    [
      'that settles after the trial',
      { ...SQL, settlement: '14d' },
      /^measure.source.settlement: must be less than .*nothing would be counted/,
    ],
  ])('%s is a problem', (_name, source, problem) => {
    const problems = problemsAfter({ 'measure.volume': SUCCESSES, 'measure.source': source });
    expect(problems).toEqual([expect.stringMatching(problem)]);
  });

  test('of whose trial nothing would be left is a problem', () => {
    const short = {
      'measure.volume': SUCCESSES,
      'measure.source': { ...PROMETHEUS, settle: '10s' },
      'trial.stages': [{ share: '100%', length: '15s' }],
      'trial.readEvery': '1s',
      'decision.deadline': undefined,
    };
    expect(problemsAfter(short)).toEqual([
      expect.stringMatching(
        /^decision.outcomeWithin: must be less than 5 s, the length of the trial without what/,
      ),
    ]);
    expect(problemsAfter({ ...short, 'decision.outcomeWithin': '1s' })).toEqual([]);
    expect(problemsAfter({ ...short, 'decision.deadline': '1m' })).toEqual([]);
  });
});
