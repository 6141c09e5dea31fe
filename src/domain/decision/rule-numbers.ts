import { isBounded, isUnbounded, type RuleSpec } from './rule-spec.ts';
import { totalsOf, type RuleState } from './rule-state.ts';
import { comparableOf } from './strata.ts';
import type { ArmNumbers } from './rule-verdict.ts';
import { formatEvidence } from './rule-words.ts';
import { anytimeInterval, meanInterval, wilsonInterval, type Interval } from './statistics/interval.ts';

/** Every version with its numbers, in the plan's order. */
export function numbersOf(spec: RuleSpec, state: RuleState): readonly ArmNumbers[] {
  const totals = totalsOf(state);
  // The greatest ratio goes by totals, whatever groups they are of.
  const comparable = spec.rule === 'max-efficacy' ? totals : comparableOf(state);
  const scale = isBounded(spec) ? (spec.cap ?? 1) : 1;
  return spec.arms.map((arm) => {
    const sums = totals[arm.version] ?? { n: 0, sum: 0, squares: 0 };
    const uncapped = state.uncapped[arm.version];
    const out = outOf(state, arm.version);
    const mean = comparable[arm.version] ?? sums;
    const interval = intervalOf(spec, mean);
    return {
      ...arm,
      units: sums.n,
      volume: sums.sum * scale,
      ...(uncapped === undefined ? {} : { uncapped }),
      efficacy: sums.n === 0 ? null : (mean.sum * scale) / mean.n,
      interval: interval === null ? null : [interval[0] * scale, interval[1] * scale],
      ...(out === undefined ? {} : { out }),
    };
  });
}

function intervalOf(spec: RuleSpec, sums: { n: number; sum: number; squares: number }): Interval | null {
  if (sums.n === 0 || sums.sum > sums.n) return null;
  if (isUnbounded(spec)) return null;
  // It holds for large n, and says nothing where outcomes do not vary yet.
  if (isBounded(spec)) return sums.squares * sums.n > sums.sum ** 2 ? meanInterval(sums) : null;
  return spec.rule === 'anytime' ? anytimeInterval(sums.sum, sums.n) : wilsonInterval(sums.sum, sums.n);
}

function outOf({ pulled, dropped }: RuleState, version: string): ArmNumbers['out'] | undefined {
  const reason = pulled[version];
  if (reason !== undefined) return { why: 'pulled', reason };
  const loss = dropped[version];
  if (loss === undefined) return undefined;
  return { why: 'dropped', reason: `beaten by ${loss.by}, evidence ${formatEvidence(loss.lnE)}` };
}
