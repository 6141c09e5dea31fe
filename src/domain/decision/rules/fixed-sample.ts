import type { FixedSampleSpec } from '../rule-spec.ts';
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
  const totals = totalsOf(state);
  const left = survivorsOf(spec, state).flatMap((version) => {
    const sums = totals[version];
    const role = spec.arms.find((arm) => arm.version === version)?.role;
    return sums === undefined || sums.n === 0 ? [] : [{ version, role, ...sums }];
  });
  const [first] = left;
  if (first === undefined) return null;
  const best = left.reduce((a, b) => (b.sum / b.n > a.sum / a.n ? b : a));
  const alpha = spec.delta / Math.max(1, spec.arms.length - 1);
  const isClear = left.every(
    (other) => other === best || twoSided(standardScore(best, other, isBounded(spec))) <= alpha,
  );
  if (!isClear) return null;
  const kind = best.role === 'baseline' ? 'keepBaseline' : 'winner';
  return { kind, version: best.version, atMs: state.elapsedMs };
}
