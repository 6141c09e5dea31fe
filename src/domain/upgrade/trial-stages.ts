import type { Plan } from '../plan/schema.ts';
import type { UpgradeState } from './state.ts';

/** Length of the present stage with what operators added, in milliseconds. */
export function stageLengthMs(plan: Plan, state: UpgradeState): number {
  const { stages } = plan.trial;
  const index = Math.min(state.trial.stage, stages.length - 1);
  const extendedMs = index === stages.length - 1 ? state.trial.extendedMs : 0;
  return (stages[index]?.lengthMs ?? 0) + extendedMs;
}

/** Share of each candidate's keys that a stage sends to it; the baseline share stays out to the end. */
export function shareOfStage(plan: Plan, stage: number): number {
  const share = plan.trial.stages[Math.min(stage, plan.trial.stages.length - 1)]?.share ?? 1;
  return Math.min(share, 1 - plan.trial.baselineShare);
}
