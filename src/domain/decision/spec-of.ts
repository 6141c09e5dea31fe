import type { Plan } from '../plan/schema.ts';
import { mayEnterTwice } from './counting-of.ts';
import { comparisonOf } from './comparison-of.ts';
import { effectGrid, isBounded, type Arm, type RuleSpec } from './rule-spec.ts';
import { splitCheckOf } from './split-check.ts';

/** The rule that a plan names, ready for blocks. The baseline is an arm where the plan keeps a share of it. */
export function ruleSpecOf(plan: Plan): RuleSpec {
  const { baseline, candidates, trial, traffic, measure, decision } = plan;
  const control: Arm[] = trial.baselineShare > 0 ? [{ version: baseline.version, role: 'baseline' }] : [];
  const shared = {
    arms: [...control, ...candidates.map(({ version }): Arm => ({ version, role: 'candidate' }))],
    volume: measure.volume.kind,
    comparison: comparisonOf(traffic),
    unit: decision.unit,
    split: splitCheckOf(plan),
    ...(mayEnterTwice(plan) ? { mayEnterTwice: true as const } : {}),
    ...(decision.cap === undefined ? {} : { cap: decision.cap }),
  };
  const { deadlineMs } = decision;
  const deadline = deadlineMs === undefined ? {} : { deadlineMs };
  switch (decision.rule) {
    case 'max-efficacy':
      return {
        ...shared,
        rule: 'max-efficacy',
        minSamples: trial.minSamples,
        ...(decision.comparesCapped === undefined ? {} : { comparesCapped: true }),
      };
    case 'fixed-sample': {
      const { delta, unitsPerVersion = 0 } = decision;
      return { ...shared, rule: 'fixed-sample', delta, unitsPerArm: unitsPerVersion, ...deadline };
    }
    case 'anytime': {
      const scale = isBounded(shared) ? (decision.cap ?? 1) : 1;
      const epsilon = (decision.epsilon ?? 0) / scale;
      const { delta, expectedRate, nonInferiority, minDurationMs, everyFullMs, leaderShare, aaTest } =
        decision;
      return {
        ...shared,
        rule: 'anytime',
        delta,
        epsilon,
        grid: effectGrid(epsilon, isBounded(shared) ? undefined : expectedRate),
        ...(expectedRate === undefined ? {} : { expectedRate }),
        ...(nonInferiority === undefined ? {} : { nonInferiority: nonInferiority / scale }),
        ...(minDurationMs === undefined ? {} : { minDurationMs }),
        ...(everyFullMs === undefined ? {} : { everyFullMs }),
        ...(leaderShare === undefined ? {} : { leaderShare }),
        ...(aaTest === undefined ? {} : { aaTest }),
        ...deadline,
      };
    }
  }
}
