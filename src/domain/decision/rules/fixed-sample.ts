import type { FixedSampleSpec } from '../rule-spec.ts';
import { EVERYONE, type Sums } from '../block.ts';
import type { Comparison } from '../rule-verdict.ts';
import { leaderOf } from './shares.ts';
import { comparableOf } from '../strata.ts';
import { survivorsOf, totalsOf, type Decided, type RuleState } from '../rule-state.ts';
import { normalQuantile, normalTail } from '../statistics/special-functions.ts';
import { isBounded } from '../rule-spec.ts';

/**
 * Units per version at which one look, two-sided at `alpha`, finds a difference of these rates with the given power:
 * (z_{1−α/2} + z_power)²·(p₁(1−p₁) + p₂(1−p₂))/(p₁−p₂)², rounded up.
 */
export function fixedSampleSize(rates: readonly [number, number], alpha: number, power: number): number {
  const [p1, p2] = rates;
  const z = normalQuantile(1 - alpha / 2) + normalQuantile(power);
  return Math.ceil((z * z * (p1 * (1 - p1) + p2 * (1 - p2))) / (p1 - p2) ** 2);
}

interface ArmSums {
  readonly n: number;
  readonly sum: number;
  readonly squares: number;
}

/** Standard score of the difference of two means; for successes with their common variance. */
export function standardScore(a: ArmSums, b: ArmSums, bounded = false): number {
  const difference = a.sum / a.n - b.sum / b.n;
  const pooled = (a.sum + b.sum) / (a.n + b.n);
  const variance = bounded
    ? varianceOf(a) / a.n + varianceOf(b) / b.n
    : pooled * (1 - pooled) * (1 / a.n + 1 / b.n);
  return variance > 0 ? difference / Math.sqrt(variance) : 0;
}

/**
 * The same over groups that are dealt apart: their differences, each weighted by na·nb/(na+nb), and the deviation of that
 * sum (for successes the test of Cochran, Mantel and Haenszel).
 */
export function scoreOf(
  spec: FixedSampleSpec,
  groups: Readonly<Record<string, Sums>>,
  [a, b]: readonly [string, string],
): number {
  const all = Object.values(groups).flatMap((sums) => {
    const [mine, other] = [sums[a], sums[b]];
    return mine === undefined || other === undefined || mine.n === 0 || other.n === 0
      ? []
      : [{ mine, other }];
  });
  const bounded = isBounded(spec);
  const [only] = all;
  if (all.length === 1 && only !== undefined) return standardScore(only.mine, only.other, bounded);
  let [difference, variance] = [0, 0];
  for (const { mine, other } of all) {
    const weight = (mine.n * other.n) / (mine.n + other.n);
    const rate = (mine.sum + other.sum) / (mine.n + other.n);
    difference += weight * (mine.sum / mine.n - other.sum / other.n);
    variance += bounded
      ? weight * weight * (varianceOf(mine) / mine.n + varianceOf(other) / other.n)
      : weight * rate * (1 - rate);
  }
  return variance > 0 ? difference / Math.sqrt(variance) : 0;
}

export function twoSided(score: number): number {
  return 2 * normalTail(Math.abs(score));
}

function varianceOf({ n, sum, squares }: ArmSums): number {
  return Math.max(0, squares / n - (sum / n) ** 2);
}

/** Whether every version that is left has its planned units. */
export function isComplete(spec: FixedSampleSpec, state: RuleState): boolean {
  const totals = totalsOf(state);
  return survivorsOf(spec, state).every((version) => (totals[version]?.n ?? 0) >= spec.unitsPerArm);
}

/** The one look: the greatest mean, if it differs from each other one at δ/(K−1), two-sided. */
export function decideOnce(spec: FixedSampleSpec, state: RuleState): Decided | null {
  const totals = comparableOf(state);
  const left = survivorsOf(spec, state).flatMap((version) => {
    const sums = totals[version];
    const role = spec.arms.find((arm) => arm.version === version)?.role;
    return sums === undefined || sums.n === 0 ? [] : [{ version, role, ...sums }];
  });
  const [first] = left;
  if (first === undefined) return null;
  const best = left.reduce((a, b) => (b.sum / b.n > a.sum / a.n ? b : a));
  const alpha = spec.delta / Math.max(1, spec.arms.length - 1);
  // Over groups the test weighs otherwise than the averages do: it has to speak for the same version.
  const isBeaten = (other: string): boolean => {
    const score = scoreOf(spec, state.sums, [best.version, other]);
    return score > 0 && twoSided(score) <= alpha;
  };
  if (!left.every((other) => other === best || isBeaten(other.version))) return null;
  const kind = best.role === 'baseline' ? 'keepBaseline' : 'winner';
  return { kind, version: best.version, atMs: state.elapsedMs };
}

/** What the one look showed of each pair, by its p-value; nothing before. */
export function comparisonsAtLook(spec: FixedSampleSpec, state: RuleState): readonly Comparison[] {
  const totals = state.look ?? totalsOf(state);
  const groups = state.lookGroups ?? (state.look === undefined ? state.sums : { [EVERYONE]: state.look });
  const leader = state.decided?.version ?? leaderOf(spec, state);
  const best = leader === undefined ? undefined : totals[leader];
  if (leader === undefined || best === undefined || !isComplete(spec, state)) return [];
  return survivorsOf(spec, state).flatMap((than) => {
    const other = totals[than];
    if (than === leader || other === undefined || other.n === 0) return [];
    const score = scoreOf(spec, groups, [leader, than]);
    const p = score > 0 ? twoSided(score) : 1;
    const threshold = Math.log(Math.max(1, spec.arms.length - 1) / spec.delta);
    const evidence = p === 1 ? 0 : -Math.log(Math.max(p, 1e-300));
    return [{ better: leader, than, margin: 0, evidence, threshold }];
  });
}
