import { formatDuration } from '../../duration.ts';
import { deadlineOf, trialLengthMs } from '../../upgrade/trial-stages.ts';
import { versionsOf, type PlanDraft } from '../draft.ts';
import { settlingOf } from '../source-of.ts';
import { anyOf, nearest, planProblem, type PlanProblem } from '../problem.ts';

/** Where outcomes are read: what versions, kind and trial say about it. */

export function sourceNamesVersions(plan: PlanDraft): PlanProblem[] {
  const source = plan.measure?.source;
  const versions = versionsOf(plan);
  if (source === undefined || source.from === 'gateways' || versions === undefined) return [];
  const { arms = {} } = source;
  const known = [versions.baseline, ...versions.candidates];
  const owner = new Map<string, string>();
  const problems: PlanProblem[] = [];
  for (const version of Object.keys(arms)) {
    if (known.includes(version)) continue;
    const path = ['measure', 'source', 'arms', version];
    const message = `must be a version of this plan: ${anyOf(known)}`;
    problems.push(planProblem({ path, value: arms[version], message, suggestion: nearest(version, known) }));
  }
  for (const version of known) {
    const name = arms[version] ?? version;
    const first = owner.get(name);
    owner.set(name, first ?? version);
    // The same version twice is a problem of its own.
    if (first === undefined || first === version) continue;
    const path = ['measure', 'source', 'arms', version];
    const message = `must be a name of its own: the source calls version ${first} ${name} already`;
    problems.push(planProblem({ path, value: name, message }));
  }
  return problems;
}

export function sourceFitsKind({ measure }: PlanDraft): PlanProblem[] {
  const source = measure?.source;
  if (measure === undefined || source === undefined) return [];
  const { kind } = measure.volume;
  const wrong = (field: string, value: unknown, kinds: string): PlanProblem =>
    planProblem({
      path: ['measure', 'source', field],
      value,
      message: `must not be there: it belongs to ${kinds}, and kind is ${kind}`,
    });
  const problems: PlanProblem[] = [];
  if (source.from === 'prometheus' && kind !== 'amount' && kind !== 'clicks') {
    const { squares, uncapped } = source;
    if (squares !== undefined) problems.push(wrong('squares', squares, 'amount and clicks'));
    if (uncapped !== undefined) problems.push(wrong('uncapped', uncapped, 'amount and clicks'));
  }
  if (source.from === 'sql') {
    if (source.currency !== undefined && kind !== 'amount') {
      problems.push(wrong('currency', source.currency, 'amount'));
    }
    // What is read is one SELECT inside another.
    for (const field of ['allocated', 'transactions'] as const) {
      if (!source[field].includes(';')) continue;
      const message = 'must be one SELECT without a semicolon';
      problems.push(planProblem({ path: ['measure', 'source', field], value: source[field], message }));
    }
  }
  return problems;
}

/** What settles only after the trial is never counted. */
export function sourceSettlesInTrial({ measure, trial, decision }: PlanDraft): PlanProblem[] {
  const source = measure?.source;
  if (source === undefined || trial === undefined) return [];
  const deciding = decision ?? { rule: 'anytime' };
  const lengthMs = trialLengthMs({ trial, decision: deciding });
  const waits = settlingOf(source);
  const { waitMs = 0 } = waits ?? {};
  if (waits === undefined || waitMs < lengthMs) {
    // Blocks begin only when what began before the routes of the trial has ended.
    const lateMs = decision?.outcomeWithinMs ?? 0;
    const isByTotals = deciding.rule === 'max-efficacy' || source.from === 'gateways';
    if (isByTotals || waitMs + lateMs < lengthMs) return [];
    const message = `must be less than ${formatDuration(lengthMs - waitMs)}, the length of the trial${waitMs > 0 ? ' without what settles' : ''}: nothing would be counted before the end`;
    return [planProblem({ path: ['decision', 'outcomeWithin'], value: formatDuration(lateMs), message })];
  }
  const what = deadlineOf(deciding) === undefined ? 'the length of all stages' : 'decision.deadline';
  const message = `must be less than ${formatDuration(lengthMs)}, ${what}: nothing would be counted before the end`;
  return [
    planProblem({
      path: ['measure', 'source', waits.field],
      value: formatDuration(waits.waitMs),
      message,
    }),
  ];
}
