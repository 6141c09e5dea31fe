import type { PresentTraffic } from '../recent-traffic.ts';
import { controlOf, type AnytimeSpec } from '../rule-spec.ts';
import { survivorsOf, type RuleState } from '../rule-state.ts';
import { comparableOf } from '../strata.ts';
import type { Comparison } from '../rule-verdict.ts';
import { marginToControl, shownAgainst, thresholdOf } from './anytime.ts';
import { evidenceIn } from './pair-evidence.ts';
import { candidatesLeft, leaderOf } from './shares.ts';

/** What the version in front still has to show, pair by pair. */
export function comparisonsOf(spec: AnytimeSpec, state: RuleState): readonly Comparison[] {
  const subject = state.decided?.version ?? leaderOf(spec, state);
  if (subject === undefined || state.blocks < 1) return [];
  const evidence = evidenceIn(spec, state);
  const control = controlOf(spec);
  return survivorsOf(spec, state)
    .filter((than) => than !== subject)
    .map((than) => {
      const isControl = than === control;
      const margin = isControl ? marginToControl(spec) : -spec.epsilon;
      const shown = isControl
        ? { lnE: evidence(subject, than, margin), threshold: thresholdOf(spec) }
        : shownAgainst(spec, { evidence, pulled: state.pulled }, than, subject);
      const { lnE, threshold } = shown;
      return { better: subject, than, margin: margin === 0 ? 0 : margin, evidence: lnE, threshold };
    });
}

/**
 * Units over all versions until the version in front has shown what is asked, if efficacies and shares stay as they are:
 * what is missing of ln e, divided by what a unit adds at best, a·b/(a+b)·(d+margin)²/(2·variance) where a and b are the
 * pair's shares of all units. Undefined where it is not on the way there.
 */
export function missingOf(
  spec: AnytimeSpec,
  state: RuleState,
  shares: PresentTraffic['shares'],
): number | undefined {
  const subject = leaderOf(spec, state) ?? '';
  const totals = comparableOf(state);
  const mine = totals[subject];
  if (mine === undefined || candidatesLeft(spec, state).length === 0) return undefined;
  const needs = comparisonsOf(spec, state).map(({ than, margin, evidence, threshold }) => {
    const other = totals[than];
    if (other === undefined || other.n === 0) return Infinity;
    const difference = mine.sum / mine.n - other.sum / other.n - margin;
    if (difference <= 0) return Infinity;
    const n = mine.n + other.n;
    const mean = (mine.sum + other.sum) / n;
    const variance = Math.max(1e-9, (mine.squares + other.squares) / n - mean * mean);
    const [a, b] = [shares[subject] ?? 0, shares[than] ?? 0];
    const perUnit = ((a * b) / (a + b)) * ((difference * difference) / (2 * variance));
    return Math.max(0, threshold - evidence) / perUnit;
  });
  const most = Math.max(0, ...needs);
  return Number.isFinite(most) && most > 0 ? most : undefined;
}
