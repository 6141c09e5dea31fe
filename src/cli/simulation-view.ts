import { formatDuration } from '../domain/duration.ts';
import { isAaTest, isBounded, type RuleSpec } from '../domain/decision/rule-spec.ts';
import type { InconclusiveReason } from '../domain/decision/rule-verdict.ts';
import { formatMargin, inferiorityAllowed } from '../domain/decision/rule-words.ts';
import { formatCount, formatEfficacy } from '../domain/decision/sentence.ts';
import type { SimulatedPlan } from '../domain/decision/simulation/plan-trial.ts';

/** What simulated trials came to, for a person. */
export function describeSimulation(spec: RuleSpec, result: SimulatedPlan): string {
  const { arms, runs, units, exposed, horizonMs, verdictMs } = result;
  const kind = isBounded(spec) ? 'amount' : spec.volume;
  const open = openClauses(spec, result);
  const ofAaTest = isAaTest(spec);
  return [
    `${formatCount(runs)} simulated trials by the rule ${spec.rule}:`,
    ...arms.map(({ version, role, rate, units: each, chosen }) => {
      const name = role === 'baseline' ? `${version} (baseline)` : version;
      const efficacy = formatEfficacy(rate, kind, { moreDecimals: 1, unit: spec.unit });
      const often = ofAaTest ? '' : ` chosen in ${percent(chosen)},`;
      return `  ${name}, efficacy ${efficacy}:${often} ${formatCount(Math.round(each))} ${spec.unit}s`;
    }),
    ...(ofAaTest ? aaLines(spec, result) : errorLines(spec, result)),
    `  open      ${open.length === 0 ? `${percent(0)} ended without a verdict` : open.join('; ')}`,
    verdictMs === null
      ? `  time      no verdict in ${formatDuration(horizonMs)}`
      : `  time      ${formatDuration(verdictMs.mean)} on average to a verdict, half of them within ${formatDuration(verdictMs.median)}, 95 % within ${formatDuration(verdictMs.p95)}`,
    ...(ofAaTest
      ? []
      : [
          `  exposed   ${formatCount(Math.round(exposed))} of ${formatCount(Math.round(units))} ${spec.unit}s came to a version that is not the best`,
        ]),
  ].join('\n');
}

function errorLines(spec: RuleSpec, { wrong }: SimulatedPlan): string[] {
  return [`  wrong     ${percent(wrong)} of the trials ${mistakeOf(spec)}`, `  promised  ${promiseOf(spec)}`];
}

function mistakeOf(spec: RuleSpec): string {
  const allowed = inferiorityAllowed(spec);
  if (allowed === undefined) return `chose a version that is worse${worseBy(spec)}`;
  const { control, margin } = allowed;
  const among = hasRivals(spec)
    ? `, or worse${worseBy(spec)} than a candidate that is no worse than ${control}`
    : '';
  return `promoted a candidate that is worse than ${control} by more than ${margin}${among}`;
}

/** Whether candidates compete with each other, and not with the baseline alone. */
function hasRivals({ arms }: RuleSpec): boolean {
  return arms.filter(({ role }) => role === 'candidate').length > 1;
}

/** Of an A/A test: nothing is chosen, and what can be wrong is an alarm. */
function aaLines(spec: RuleSpec, { alarms }: SimulatedPlan): string[] {
  return [
    `  alarm     ${percent(alarms)} of the trials said that something in the measuring is wrong`,
    `  promised  at most ${percent(falseAlarmsAtMost(spec))} where nothing differs, however often one looks`,
  ];
}

/** Each of the K(K−1) pairs is asked for evidence of (K−1)/δ. */
export function falseAlarmsAtMost(spec: RuleSpec): number {
  return spec.rule === 'max-efficacy' ? 1 : Math.min(1, spec.arms.length * spec.delta);
}

/** How many trials ended without a verdict, one clause for each reason. */
export function openClauses(spec: RuleSpec, { reasons, horizonMs }: SimulatedPlan): readonly string[] {
  const words: Record<InconclusiveReason, string> = {
    deadline: `ended after ${formatDuration(horizonMs)} without a verdict`,
    noData: `ended after ${formatDuration(horizonMs)}, and some version got no traffic`,
    tooFewSamples: `ended after ${formatDuration(horizonMs)} with too few ${spec.unit}s of some version`,
    tie: 'ended in a tie',
    notSignificant: 'showed no difference in their one look',
    observational: 'ended without a verdict, for groups of customers were compared',
  };
  return (Object.keys(words) as InconclusiveReason[]).flatMap((reason) => {
    const share = reasons[reason];
    return share === undefined ? [] : [`${percent(share)} ${words[reason]}`];
  });
}

function worseBy(spec: RuleSpec): string {
  return spec.rule === 'anytime' && spec.epsilon > 0
    ? ` by more than ${formatMargin(spec.epsilon, spec)}`
    : '';
}

function promiseOf(spec: RuleSpec): string {
  switch (spec.rule) {
    case 'anytime': {
      const allowed = inferiorityAllowed(spec);
      if (allowed !== undefined) {
        const rest = `; among candidates that are all worse than ${allowed.control} nothing is promised`;
        return `at most ${percent(spec.delta)}, however often one looks${hasRivals(spec) ? rest : ''}`;
      }
      const directions =
        spec.epsilon > 0 ? '' : '; where all are alike some version may be named twice as often';
      return `at most ${percent(spec.delta)}, however often one looks${directions}`;
    }
    case 'fixed-sample':
      return `at most ${percent(spec.delta)}, for one look at large samples`;
    case 'max-efficacy':
      return 'nothing: the greatest ratio wins, whatever chance made of it';
  }
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
