import { describe, expect, test } from 'vitest';
import { completeStep } from '../../../src/domain/upgrade/complete-step.ts';
import type { ReadingResult } from '../../../src/domain/upgrade/results.ts';
import { initialState, type UpgradeState } from '../../../src/domain/upgrade/state.ts';
import { statusOf } from '../../../src/domain/upgrade/status.ts';
import { examplePlan } from './example-plan.ts';

const plan = examplePlan({ decision: { rule: 'anytime' } });
const at = '2026-01-02T03:04:05.000Z';

function after(state: UpgradeState, change: Partial<ReadingResult>): UpgradeState {
  const result: ReadingResult = {
    at,
    elapsedMs: 1_000,
    totals: {},
    arms: [],
    verdict: null,
    pulls: [],
    ...change,
  };
  const step = { kind: 'collectMetrics', purpose: 'trial', waitMs: 1_000, final: false, reading: 0 } as const;
  return completeStep(plan, state, step, { kind: 'collectMetrics', result }, { at, overtaken: false });
}

const start = initialState(plan, { upgradeId: 'u', at });
const winner: ReadingResult['verdict'] = {
  kind: 'winner',
  winner: '2.0-a',
  arms: [],
  sentence: '2.0-a wins.',
};
const incident = { reason: 'the baseline fails too', since: at };

describe('an environment that is ill', () => {
  test('stops the trial’s clock and the decision, blames nobody, and is shown to the operator', () => {
    const ill = after(start, { incident, verdict: winner });
    expect(ill.trial).toMatchObject({ stageElapsedMs: 0, elapsedMs: 0, ended: false, pulled: {} });
    expect(statusOf(plan, ill).problems).toMatchObject([
      { where: 'the environment', code: 'EnvironmentIncident', message: incident.reason, since: at },
    ]);
    expect(ill.timeline.at(-1)?.what).toContain('The trial stands still');
    // Told once.
    expect(after(ill, { incident }).timeline).toEqual(ill.timeline);
  });

  test('lets the trial go on when it is well again', () => {
    const well = after(after(start, { incident }), { verdict: winner });
    expect(well.trial).toMatchObject({ stageElapsedMs: 1_000, ended: true });
    expect(statusOf(plan, well).problems).toEqual([]);
    expect(well.timeline.map(({ what }) => what)).toContain(
      'The environment is well again: the trial goes on',
    );
  });
});

test('a candidate without data is told since it was first heard of, and passes nothing', () => {
  const notices = [{ release: '2.0-b', kind: 'stuck', reason: 'its counters stand still' }] as const;
  const silent = after(start, { notices });
  expect(statusOf(plan, silent).problems).toMatchObject([
    { where: '2.0-b', code: 'StuckCounters', since: at },
  ]);
  expect(after(silent, {}).trial.notices).toBeUndefined();
});
