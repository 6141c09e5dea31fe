import { formatDuration } from '../domain/duration.ts';
import { isBounded, type RuleSpec } from '../domain/decision/rule-spec.ts';
import { formatMargin } from '../domain/decision/rule-words.ts';
import { formatCount, formatEfficacy } from '../domain/decision/sentence.ts';
import type { SimulatedPlan } from '../domain/decision/simulation/plan-trial.ts';

/** What simulated trials came to, for a person. */
export function describeSimulation(spec: RuleSpec, result: SimulatedPlan): string {
  const { arms, runs, wrong, inconclusive, units, exposed, timeMs } = result;
  const kind = isBounded(spec) ? 'amount' : spec.volume;
  return [
    `${formatCount(runs)} simulated trials by the rule ${spec.rule}:`,
    ...arms.map(
      ({ version, role, rate, units: each, chosen }) =>
        `  ${version}${role === 'baseline' ? ' (baseline)' : ''}, efficacy ${formatEfficacy(rate, kind, { moreDecimals: 1, unit: spec.unit })}: chosen in ${percent(chosen)}, ${formatCount(Math.round(each))} ${spec.unit}s`,
    ),
    `  wrong     ${percent(wrong)} of the trials chose a version that is worse${worseBy(spec)}`,
    `  promised  ${promiseOf(spec)}`,
    `  open      ${percent(inconclusive)} ended without a verdict`,
    `  time      ${formatDuration(timeMs.mean)} on average, half within ${formatDuration(timeMs.median)}, 95 % within ${formatDuration(timeMs.p95)}`,
    `  exposed   ${formatCount(Math.round(exposed))} of ${formatCount(Math.round(units))} ${spec.unit}s came to a version that is not the best`,
  ].join('\n');
}

function worseBy(spec: RuleSpec): string {
  return spec.rule === 'anytime' && spec.epsilon > 0
    ? ` by more than ${formatMargin(spec.epsilon, spec)}`
    : '';
}

function promiseOf(spec: RuleSpec): string {
  switch (spec.rule) {
    case 'anytime': {
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

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
