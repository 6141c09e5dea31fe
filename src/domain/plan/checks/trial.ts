import { formatDuration } from '../../duration.ts';
import type { PlanDraft } from '../draft.ts';
import { planProblem, type PlanProblem } from '../problem.ts';

/** Stages, readings, and what is measured. */

export function stagesDrawTraffic({ trial }: PlanDraft): PlanProblem[] {
  return (trial?.stages ?? []).flatMap(({ share }, index) => {
    if (share > 0) return [];
    const message = 'must be more than 0%: a stage without traffic shows nothing';
    return [planProblem({ path: ['trial', 'stages', index, 'share'], value: share, message })];
  });
}

export function stagesGrow({ trial }: PlanDraft): PlanProblem[] {
  const stages = trial?.stages ?? [];
  return stages.flatMap(({ share }, index) => {
    const before = stages[index - 1]?.share;
    if (before === undefined || share > before || share === 0) return [];
    const message = `must be more than ${percent(before)}, the share of the stage before: keys never move back to the baseline`;
    return [planProblem({ path: ['trial', 'stages', index, 'share'], value: percent(share), message })];
  });
}

export function readingsFitStages({ trial }: PlanDraft): PlanProblem[] {
  if (trial === undefined) return [];
  const shortestMs = Math.min(...trial.stages.map((stage) => stage.lengthMs));
  if (trial.readEveryMs <= shortestMs) return [];
  const value = formatDuration(trial.readEveryMs);
  const message = `must be at most ${formatDuration(shortestMs)}, the length of the shortest stage`;
  return [planProblem({ path: ['trial', 'readEvery'], value, message })];
}

export function baselineShareLeavesTraffic({ trial }: PlanDraft): PlanProblem[] {
  if (trial === undefined || trial.baselineShare < 1) return [];
  const message = 'must be less than 100%: no traffic would be left for the candidates';
  return [planProblem({ path: ['trial', 'baselineShare'], value: percent(trial.baselineShare), message })];
}

export function amountHasHeader({ measure }: PlanDraft): PlanProblem[] {
  if (measure === undefined) return [];
  const { kind, amountHeader } = measure.volume;
  const path = ['measure', 'volume', 'amountHeader'];
  const isReadElsewhere = measure.source !== undefined && measure.source.from !== 'gateways';
  if (kind === 'amount' && amountHeader === undefined && !isReadElsewhere) {
    const message = 'must name the response header with the number that is added up, because kind is amount';
    return [planProblem({ path, value: amountHeader, message })];
  }
  if (kind !== 'amount' && amountHeader !== undefined) {
    const message = `must not be there: it belongs to kind amount, and kind is ${kind}`;
    return [planProblem({ path, value: amountHeader, message })];
  }
  return [];
}

function percent(share: number): string {
  return `${Math.round(share * 1e6) / 1e4}%`;
}
