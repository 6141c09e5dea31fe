import { controlOf, type RuleSpec } from '../rule-spec.ts';
import { survivorsOf, totalsOf, type RuleState } from '../rule-state.ts';

/**
 * How the next block's traffic is best split: equally among the versions that are left, or with the leader's share to
 * the one in front. Any shares that are set before a block are as right; these cost least.
 */
export function nextShares(spec: RuleSpec, state: RuleState): Readonly<Record<string, number>> {
  const left = survivorsOf(spec, state);
  const equal = 1 / Math.max(1, left.length);
  const leaderShare = spec.rule === 'anytime' ? spec.leaderShare : undefined;
  const leader = leaderShare === undefined ? undefined : leaderOf(spec, state);
  if (leaderShare === undefined || leader === undefined || left.length < 2) {
    return Object.fromEntries(left.map((version) => [version, equal]));
  }
  const rest = (1 - leaderShare) / (left.length - 1);
  return Object.fromEntries(left.map((version) => [version, version === leader ? leaderShare : rest]));
}

/** The version in front among those that are left; candidates only where there is one. Undefined before any data. */
export function leaderOf(spec: RuleSpec, state: RuleState, among?: readonly string[]): string | undefined {
  const totals = totalsOf(state);
  const known = (among ?? survivorsOf(spec, state)).filter((version) => (totals[version]?.n ?? 0) > 0);
  const rate = (version: string): number => (totals[version]?.sum ?? 0) / (totals[version]?.n ?? 1);
  return known.reduce<string | undefined>(
    (best, version) => (best === undefined || rate(version) > rate(best) ? version : best),
    undefined,
  );
}

/** Candidates that are left. */
export function candidatesLeft(spec: RuleSpec, state: RuleState): readonly string[] {
  const control = controlOf(spec);
  return survivorsOf(spec, state).filter((version) => version !== control);
}
