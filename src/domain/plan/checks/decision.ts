import { goesByUnits } from '../../decision/counting-of.ts';
import { formatDuration } from '../../duration.ts';
import { trialLengthMs } from '../../upgrade/trial-stages.ts';
import type { PlanDraft } from '../draft.ts';
import { planProblem, type PlanProblem } from '../problem.ts';
import { settlingOf, sourceOf } from '../source-of.ts';

/** What belongs to a rule, and what a rule needs. */

export function decisionFitsRule({ decision, measure, trial }: PlanDraft): PlanProblem[] {
  if (decision === undefined) return [];
  const { rule, delta, unitsPerVersion, cap, epsilon, nonInferiority, leaderShare, expectedRate } = decision;
  const problem = (field: string, value: unknown, message: string): PlanProblem =>
    planProblem({ path: ['decision', field], value, message });
  const problems: PlanProblem[] = [];

  if (delta <= 0 || delta > 0.5)
    problems.push(problem('delta', delta, 'must be more than 0% and at most 50%'));
  if (expectedRate !== undefined && (expectedRate <= 0 || expectedRate >= 1)) {
    problems.push(problem('expectedRate', expectedRate, 'must be more than 0% and less than 100%'));
  }
  if (rule === 'fixed-sample' && unitsPerVersion === undefined) {
    problems.push(problem('unitsPerVersion', undefined, 'must say how many are planned of each version'));
  }
  if (rule !== 'fixed-sample' && unitsPerVersion !== undefined) {
    problems.push(
      problem(
        'unitsPerVersion',
        unitsPerVersion,
        `must not be there: it belongs to fixed-sample, and rule is ${rule}`,
      ),
    );
  }
  if (rule !== 'anytime') {
    for (const [field, value] of Object.entries({
      epsilon,
      nonInferiority,
      leaderShare,
      minDuration: inWords(decision.minDurationMs),
      everyFull: inWords(decision.everyFullMs),
      aaTest: decision.aaTest,
    })) {
      if (value === undefined) continue;
      problems.push(problem(field, value, `must not be there: it belongs to anytime, and rule is ${rule}`));
    }
  }

  if (rule === 'max-efficacy' && decision.deadlineMs !== undefined) {
    const message =
      'must not be there: max-efficacy decides at the end of the stages, whose length is that of the trial';
    problems.push(problem('deadline', inWords(decision.deadlineMs), message));
  }

  const kind = measure?.volume.kind;
  const isCapped = kind === 'amount' || kind === 'clicks';
  if (kind !== undefined && isCapped && rule !== 'max-efficacy' && cap === undefined) {
    const message = `must say above what an outcome counts as this much: ${kind} without a bound have no error rate`;
    problems.push(problem('cap', undefined, message));
  }
  if (kind !== undefined && isCapped && expectedRate !== undefined) {
    const message = `must not be there: it is a share of successes, and kind is ${kind}; \`changeover simulate --rates\` takes what is expected of ${kind}`;
    problems.push(problem('expectedRate', expectedRate, message));
  }
  if (kind !== undefined && !isCapped && cap !== undefined) {
    problems.push(
      problem('cap', cap, `must not be there: it belongs to amount and clicks, and kind is ${kind}`),
    );
  }
  const greatest = isCapped ? cap : 1;
  for (const [field, value] of Object.entries({ epsilon, nonInferiority })) {
    if (kind === undefined || value === undefined || greatest === undefined || value < greatest) continue;
    problems.push(problem(field, value, `must be less than ${isCapped ? `cap, ${greatest}` : '100%'}`));
  }

  const hasControl = (trial?.baselineShare ?? 0) > 0;
  if (trial !== undefined && nonInferiority !== undefined && !hasControl) {
    problems.push(
      problem(
        'nonInferiority',
        nonInferiority,
        'must have a baseline to compare with: set trial.baselineShare',
      ),
    );
  }
  return problems;
}

function inWords(durationMs: number | undefined): string | undefined {
  return durationMs === undefined ? undefined : formatDuration(durationMs);
}

/** What is to be waited for has to end with the trial at the latest, else nothing could be decided. */
export function decisionTimesFit({ decision, trial, measure }: PlanDraft): PlanProblem[] {
  if (decision === undefined || trial === undefined || decision.rule !== 'anytime') return [];
  const { deadlineMs, minDurationMs, everyFullMs } = decision;
  // At the end nothing is known of what has not settled.
  const settling = measure === undefined ? undefined : settlingOf(sourceOf(measure));
  const lengthMs = trialLengthMs({ trial, decision });
  const lastMs = lengthMs - (settling?.waitMs ?? 0);
  const length = deadlineMs === undefined ? 'the length of all stages' : 'decision.deadline';
  const settled =
    settling === undefined
      ? ''
      : `, less measure.source.${settling.field}, ${formatDuration(settling.waitMs)}`;
  const end = `${length}, ${formatDuration(lengthMs)}${settled}`;
  const problem = (field: string, value: number, message: string): PlanProblem =>
    planProblem({
      path: ['decision', field],
      value: formatDuration(value),
      message: `${message}: nothing could be decided`,
    });
  const tooLong = Object.entries({ minDuration: minDurationMs, everyFull: everyFullMs }).flatMap(
    ([field, value]) =>
      value === undefined || value <= lastMs ? [] : [problem(field, value, `must be at most ${end}`)],
  );
  if (tooLong.length > 0 || everyFullMs === undefined || minDurationMs === undefined) return tooLong;
  if (Math.ceil(minDurationMs / everyFullMs) * everyFullMs <= lastMs) return [];
  const message = `must be followed by the end of a whole period of decision.everyFull, ${formatDuration(everyFullMs)}, within ${end}`;
  return [problem('minDuration', minDurationMs, message)];
}

/** A request is a unit with its own outcome; that of another request belongs to the account. */
export function unitsHaveOutcomes({ decision, measure }: PlanDraft): PlanProblem[] {
  if (decision === undefined || measure === undefined) return [];
  const { unit } = decision;
  const { allocated, volume, source } = measure;
  const isElsewhere = source !== undefined && source.from !== 'gateways';
  if (!goesByUnits(decision) || unit === 'account' || isElsewhere) return [];
  const isOther =
    differs(allocated.method, volume.match.method) || differs(allocated.path, volume.match.path);
  if (!isOther) return [];
  const message =
    'must be account: requests that measure.allocated counts are never those that measure.volume matches, so that none of them could succeed';
  return [planProblem({ path: ['decision', 'unit'], value: unit, message })];
}

/** The gateways' ordinary counters, by which the greatest efficacy goes, tell no account from another. */
export function accountsAreCounted({ decision, measure }: PlanDraft): PlanProblem[] {
  if (decision === undefined || measure === undefined) return [];
  const { unit, rule } = decision;
  const isElsewhere = measure.source !== undefined && measure.source.from !== 'gateways';
  if (goesByUnits(decision) || unit === 'request' || isElsewhere) return [];
  const message = `must be request: ${rule} goes by the gateways' counters of requests; accounts are counted by other rules, and where decision.cap bounds amounts or clicks`;
  return [planProblem({ path: ['decision', 'unit'], value: unit, message })];
}

/** No request has both; a path may end in `*`. */
function differs(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const isPrefix = (prefix: string, of: string): boolean =>
    prefix.endsWith('*') && of.startsWith(prefix.slice(0, -1));
  return a !== b && !isPrefix(a, b) && !isPrefix(b, a);
}
