import type { FleetConfig } from '../../../demo/fleet/config.ts';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import { BASELINE, STATIC_HOME } from '../../../demo/packages.ts';
import type { PlanInput } from '../../../src/domain/plan/schema.ts';
import { shortPlan } from './test-fleet.ts';

/** A fleet for {@link sameVersionPlan}. */
export const ONE_SERVER_EACH: FleetConfig = {
  clusters: { main: 1, blue: 1, green: 1 },
  candidates: [STATIC_HOME],
};

/** An A/A test: the same new version on two clusters, `2.0-a@blue` and `2.0-a@green`, and none of today's beside them. */
export function sameVersionPlan(
  fleet: Fleet,
  { traffic, length }: { traffic: Pick<PlanInput['traffic'], 'policy' | 'account'>; length: string },
): PlanInput {
  const plan = shortPlan(fleet, {
    baseline: BASELINE,
    candidates: [STATIC_HOME, { ...STATIC_HOME, mode: 'floating-second' }],
  });
  return {
    ...plan,
    traffic: { ...plan.traffic, ...traffic },
    trial: { stages: [{ share: '100%', length }], readEvery: '500ms' },
    decision: { rule: 'anytime', aaTest: true, window: '200ms', outcomeWithin: '500ms' },
    approval: 'automatic',
  };
}
