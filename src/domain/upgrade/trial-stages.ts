import type { Plan } from '../plan/schema.ts';
import type { UpgradeState } from './state.ts';

/** Length of the present stage with what operators added, in milliseconds. */
export function stageLengthMs(plan: Plan, state: UpgradeState): number {
  const { stages } = plan.trial;
  const index = Math.min(state.trial.stage, stages.length - 1);
  const extendedMs = index === stages.length - 1 ? state.trial.extendedMs : 0;
  return (stages[index]?.lengthMs ?? 0) + extendedMs;
}

/** What is left of the present stage, in milliseconds; not above 0 once it is over. */
export function stageLeftMs(plan: Plan, state: UpgradeState): number {
  return stageLengthMs(plan, state) - state.trial.stageElapsedMs;
}

/** What of a plan, or of the draft of one, says how long its trial takes. */
interface PlannedLength {
  readonly trial: { readonly stages: readonly { readonly lengthMs: number }[] };
  readonly decision: { readonly rule: Plan['decision']['rule']; readonly deadlineMs?: number | undefined };
}

/**
 * How long a trial takes that nothing decides, in milliseconds, where operators add nothing: all its stages, or as long as
 * the deadline says.
 */
export function trialLengthMs({ trial, decision }: PlannedLength): number {
  return deadlineOf(decision) ?? trial.stages.reduce((sum, { lengthMs }) => sum + lengthMs, 0);
}

/** A rule that looks at every reading ends at its deadline, where the plan names one. */
export function deadlineOf({ rule, deadlineMs }: PlannedLength['decision']): number | undefined {
  return rule === 'max-efficacy' ? undefined : deadlineMs;
}

/**
 * What is left of the trial on its own clock, which stands still in a pause and while the environment is ill; infinite
 * before the last stage of a trial without a deadline.
 */
export function trialLeftMs(plan: Plan, state: UpgradeState): number {
  const { stage, extendedMs, elapsedMs } = state.trial;
  const deadlineMs = deadlineOf(plan.decision);
  if (deadlineMs !== undefined) return deadlineMs + extendedMs - elapsedMs;
  return stage >= plan.trial.stages.length - 1 ? stageLeftMs(plan, state) : Infinity;
}

/** Share of each candidate's keys that a stage sends to it; the baseline share stays out to the end. */
export function shareOfStage(plan: Plan, stage: number): number {
  const share = plan.trial.stages[Math.min(stage, plan.trial.stages.length - 1)]?.share ?? 1;
  return Math.min(share, 1 - plan.trial.baselineShare);
}
