import { controlOf, type AnytimeSpec, type RuleSpec } from '../rule-spec.ts';
import { survivorsOf, type RuleState } from '../rule-state.ts';
import { comparableOf } from '../strata.ts';

/**
 * How the next block's traffic is best split where no policy says it: equally among the versions that are left, or with
 * the leader's share to the one in front. Any shares that are set before a block are as right; these cost least.
 */
export function nextShares(spec: RuleSpec, state: RuleState): Readonly<Record<string, number>> {
  const left = survivorsOf(spec, state);
  const equal = 1 / Math.max(1, left.length);
  const inFront = leaderOf(spec, state);
  if (spec.rule === 'anytime' && spec.tracking === true && inFront !== undefined && left.length > 2) {
    return trackedShares(spec, state, { left, leader: inFront });
  }
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
  const totals = comparableOf(state);
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

/** Least share of a version that is left, of an equal one. */
const FLOOR = 0.2;
const STEPS = 40;

/**
 * Shares at which all others are found at most ε better at about the same time, by the gaps as they look now, each
 * taken a standard error smaller: per unit of the leader x = y/(gap² − y) of each other, with the y that makes
 * (1 + Σx)/y least (Garivier and Kaufmann's shares, for equal variances).
 */
function trackedShares(
  { epsilon }: AnytimeSpec,
  state: RuleState,
  { left, leader }: { left: readonly string[]; leader: string },
): Readonly<Record<string, number>> {
  const totals = comparableOf(state);
  const at = (version: string) => totals[version] ?? { n: 0, sum: 0, squares: 0 };
  const mine = at(leader);
  const squares = left.map((version) => {
    if (version === leader) return Infinity;
    const other = at(version);
    if (other.n === 0) return epsilon * epsilon;
    const mean = (mine.sum + other.sum) / (mine.n + other.n);
    const variance = (mine.squares + other.squares) / (mine.n + other.n) - mean * mean;
    const error = Math.sqrt(Math.max(0, variance) * (1 / mine.n + 1 / other.n));
    const gap = Math.max(0, mine.sum / mine.n - other.sum / other.n - error) + epsilon;
    return gap * gap;
  });
  const least = Math.min(...squares);
  let units = left.map(() => 1);
  let cost = Infinity;
  for (let step = 1; step < STEPS && least > 0; step += 1) {
    const y = (least * step) / STEPS;
    const each = squares.map((square) => (square === Infinity ? 1 : y / (square - y)));
    const now = each.reduce((sum, x) => sum + x, 0) / y;
    if (now >= cost) continue;
    cost = now;
    units = each;
  }
  const sum = units.reduce((total, x) => total + x, 0);
  const floor = FLOOR / left.length;
  return Object.fromEntries(
    left.map((version, i) => [version, floor + (1 - FLOOR) * ((units[i] ?? 0) / sum)]),
  );
}
