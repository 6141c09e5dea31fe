import type { ArmEfficacy, ArmEvidence, DecisionRule, Verdict } from './decision.ts';
import { compareRatios } from './ratio.ts';
import { allOf, describeArms, formatCount } from './sentence.ts';

/**
 * What the evidence says, by the rule `max-efficacy`: the greatest transaction volume ÷ allocated traffic wins. Pure:
 * an auditor gets the same verdict from the same numbers (invariant 8).
 *
 * A pulled candidate takes no part. The baseline takes part where it has to be beaten, and wins a draw. `during` a trial
 * nothing is decided but that no candidate is left; at its `end` everything is decided or says why it is not.
 */
export function assess(rule: DecisionRule, arms: readonly ArmEvidence[], at: 'during' | 'end'): Verdict {
  const efficacies = arms.map(withEfficacy);
  const candidates = efficacies.filter((arm) => arm.role === 'candidate' && arm.pulled === undefined);
  const numbers = describeArms(efficacies, rule.volume);
  if (candidates.length === 0) {
    return { kind: 'pulled', arms: efficacies, sentence: sentence('No candidate is left', numbers) };
  }
  if (at === 'during') {
    return { kind: 'collecting', arms: efficacies, sentence: sentence('The trial is collecting', numbers) };
  }
  const baseline = rule.beatBaseline ? efficacies.find((arm) => arm.role === 'baseline') : undefined;
  const { clause, ...outcome } = decide(rule, candidates, baseline);
  return { ...outcome, arms: efficacies, sentence: sentence(clause, numbers) };
}

function withEfficacy(arm: ArmEvidence): ArmEfficacy {
  return { ...arm, efficacy: arm.allocated > 0 ? arm.volume / arm.allocated : null };
}

function sentence(clause: string, numbers: string): string {
  return numbers === '' ? `${clause}.` : `${clause}. ${numbers}.`;
}

type Outcome = { readonly clause: string } & (
  | { readonly kind: 'winner'; readonly winner: string }
  | { readonly kind: 'keepBaseline' }
  | { readonly kind: 'inconclusive'; readonly reason: 'noData' | 'tooFewSamples' | 'tie' }
);

/** `baseline` only where it has to be beaten. At least one candidate. */
function decide(
  rule: DecisionRule,
  candidates: readonly ArmEfficacy[],
  baseline: ArmEfficacy | undefined,
): Outcome {
  if (rule.beatBaseline && baseline === undefined) {
    const clause = 'No data: candidates have to beat the baseline, and there are no numbers of it';
    return { kind: 'inconclusive', reason: 'noData', clause };
  }
  const contenders = baseline === undefined ? candidates : [...candidates, baseline];
  return lackOfSamples(rule, contenders) ?? greatest(candidates, baseline);
}

function lackOfSamples(
  { minSamples, unit = 'request' }: DecisionRule,
  contenders: readonly ArmEfficacy[],
): Outcome | undefined {
  const empty = contenders.filter((arm) => arm.allocated <= 0);
  if (empty.length > 0) {
    const clause = `No data: ${names(empty)} got no allocated traffic`;
    return { kind: 'inconclusive', reason: 'noData', clause };
  }
  const scarce = contenders.filter((arm) => arm.allocated < minSamples);
  if (scarce.length === 0) return undefined;
  const missing = scarce.map((arm) => `${arm.version} lacks ${formatCount(minSamples - arm.allocated)}`);
  const clause = `Too few samples: each version needs ${formatCount(minSamples)} allocated ${unit}s; ${allOf(missing)}`;
  return { kind: 'inconclusive', reason: 'tooFewSamples', clause };
}

/** A draw among candidates matters only where they beat the baseline: else there is nothing to choose. */
function greatest(candidates: readonly ArmEfficacy[], baseline: ArmEfficacy | undefined): Outcome {
  const best = candidates.reduce((a, b) => (compareRatios(b, a) > 0 ? b : a));
  const leaders = candidates.filter((arm) => compareRatios(arm, best) === 0);
  if (baseline !== undefined && compareRatios(best, baseline) <= 0) {
    const clause = `No candidate beats the baseline ${baseline.version}; the best is ${names(leaders)}`;
    return { kind: 'keepBaseline', clause };
  }
  if (leaders.length > 1) {
    const clause = `A tie: ${names(leaders)} have the same, greatest efficacy`;
    return { kind: 'inconclusive', reason: 'tie', clause };
  }
  const alone = candidates.length === 1 && baseline === undefined;
  const clause = alone
    ? `${best.version} wins: no other version competes`
    : `${best.version} wins by the greatest efficacy`;
  return { kind: 'winner', winner: best.version, clause };
}

function names(arms: readonly ArmEfficacy[]): string {
  return allOf(arms.map((arm) => arm.version));
}
