import { describe, expect, test } from 'vitest';
import { expectedShares } from '../../../src/domain/decision/expected-shares.ts';
import { beginRule } from '../../../src/domain/decision/rule.ts';
import type { RuleState } from '../../../src/domain/decision/rule-state.ts';
import {
  normalised,
  simulatedRoutes,
  stageAt,
  sumOf,
} from '../../../src/domain/decision/simulation/routes.ts';
import { ruleSpecOf } from '../../../src/domain/decision/spec-of.ts';
import type { Plan, PlanInput } from '../../../src/domain/plan/schema.ts';
import { splitNow, splitOf } from '../../../src/domain/upgrade/route-changes.ts';
import { initialState } from '../../../src/domain/upgrade/state.ts';
import { shareOfStage } from '../../../src/domain/upgrade/trial-stages.ts';
import { examplePlan, examplePlanInput } from '../upgrade/example-plan.ts';

const { traffic } = examplePlanInput();
const TRIAL = {
  stages: [
    { share: '25%', length: '2s' },
    { share: '100%', length: '4s' },
  ],
  readEvery: '1s',
};

function planWith(weights: Record<string, number>, change: Partial<PlanInput> = {}): Plan {
  return examplePlan({
    traffic: { ...traffic, policy: { kind: 'hash', weights } },
    decision: { rule: 'anytime' },
    trial: { ...TRIAL, baselineShare: '10%' },
    ...change,
  });
}

const DROPPED = { '2.0-b': { atMs: 0, by: '2.0-a', lnE: 5 } };

/** Parts of the traffic in one simulated trial, state after state. */
function routesOf(plan: Plan): (change: Partial<RuleState>) => Readonly<Record<string, number>> {
  const spec = ruleSpecOf(plan);
  const { dealt, partsOf } = simulatedRoutes(plan, spec);
  return (change) => {
    const [all] = dealt;
    return partsOf(all!, { ...beginRule(spec), ...change });
  };
}

/** As gateways deal and count accounts by the routes of the run. */
function ofRun(plan: Plan, stage: number, pulled: readonly string[]) {
  return expectedShares({ ...splitOf(plan, shareOfStage(plan, stage), 'u'), pulled });
}

function close(shares: Readonly<Record<string, number>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shares).map(([name, share]) => [name, expect.closeTo(share, 3)]));
}

describe('simulated trials deal units as the routes of a run do', () => {
  test.each<[string, Record<string, number>]>([
    ['equal weights', { '2.0-a': 1, '2.0-b': 1 }],
    ['weights of the baseline, too', { '2.0-a': 1, '2.0-b': 2, '1.4': 5 }],
  ])('by %s, in each stage, and after one is dropped', (_what, weights) => {
    const plan = planWith(weights);
    const routes = routesOf(plan);
    for (const [stage, elapsedMs] of [
      [0, 1000],
      [1, 2000],
      [1, 60_000],
    ] as const) {
      expect(stageAt(plan, elapsedMs).index).toBe(stage);
      expect(normalised(routes({ elapsedMs }))).toEqual(close(ofRun(plan, stage, []) ?? {}));
      const dropped = routes({ elapsedMs, dropped: DROPPED });
      expect(normalised(dropped)).toEqual(close(ofRun(plan, stage, ['2.0-b']) ?? {}));
    }
  });

  test('what a dropped version had goes to nobody who is compared', () => {
    const routes = routesOf(planWith({ '2.0-a': 1, '2.0-b': 1 }));
    expect(routes({})['2.0-a']).toBeCloseTo(0.125);
    expect(routes({ dropped: DROPPED })['2.0-a']).toBeCloseTo(0.125);
    expect(sumOf(routes({ dropped: DROPPED }))).toBeCloseTo(0.5);
  });

  test('whoever is in front has its share until another one is, also where one is dropped meanwhile', () => {
    const plan = planWith({ '2.0-a': 1, '2.0-b': 1 }, { decision: { rule: 'anytime', leaderShare: '65%' } });
    const routes = routesOf(plan);
    const sums = { all: { '2.0-a': { n: 10, sum: 5, squares: 5 }, '2.0-b': { n: 10, sum: 1, squares: 1 } } };
    const state = initialState(plan, { upgradeId: 'u', at: '2026-01-02T03:04:05.000Z' });
    const split = splitNow(plan, { ...state, routes: { ...state.routes, share: 0.25 } }, '2.0-a');
    expect(normalised(routes({ sums }))).toEqual(close(expectedShares(split) ?? {}));
    expect(routes({ sums })['2.0-a']).toBeCloseTo(0.25 * 0.65);
    expect(routes({ sums, dropped: DROPPED })['2.0-a']).toBeCloseTo(0.25 * 0.65);
  });

  test('accounts that the policy leaves to the baseline are no units of a trial without a baseline share', () => {
    const routes = routesOf(planWith({ '2.0-a': 1, '2.0-b': 1, '1.4': 2 }, { trial: TRIAL }));
    expect(routes({ elapsedMs: 5000 })).toEqual({ '2.0-a': 0.25, '2.0-b': 0.25 });
  });
});
