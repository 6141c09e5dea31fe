import type { Sums } from './block.ts';
import { totalsOf, type RuleState } from './rule-state.ts';

/**
 * What versions may be compared by. Where customers are dealt at random inside groups (strata), sums over all groups
 * mislead as soon as groups are dealt differently: who has more of the good group looks better (Simpson's paradox).
 */

/**
 * Sums per version that may be divided and compared. Of one group they are its own. Of several they stand for averages
 * over the groups, each weighted by its units of all versions, so that every version is seen on the same customers: `n`
 * is then the number of units whose mean is as certain, 1/Σ(weight²/n of the group), and less than what was counted. A
 * group without units of some version that is left says nothing of it and is left out; where none remains, all are added
 * up. Versions that are out decide nothing of that: they are shown by the groups that they have.
 */
export function comparableOf(state: Pick<RuleState, 'sums' | 'pulled' | 'dropped'>): Sums {
  const totals = totalsOf(state);
  const groups = Object.values(state.sums);
  if (groups.length < 2) return totals;
  const versions = Object.keys(totals).filter((version) => (totals[version]?.n ?? 0) > 0);
  const isOut = (version: string): boolean =>
    Object.hasOwn(state.pulled, version) || Object.hasOwn(state.dropped, version);
  const left = versions.filter((version) => !isOut(version));
  const hasUnits = (sums: Sums, version: string): boolean => (sums[version]?.n ?? 0) > 0;
  const common = groups.filter((sums) =>
    (left.length > 0 ? left : versions).every((version) => hasUnits(sums, version)),
  );
  if (common.length === 0) return totals;
  return Object.fromEntries(
    versions.map((version) => {
      const own = common.filter((sums) => hasUnits(sums, version));
      const units = own.reduce((sum, sums) => sum + unitsOf(sums), 0);
      if (units === 0) return [version, totals[version] ?? { n: 0, sum: 0, squares: 0 }];
      let [mean, square, spread] = [0, 0, 0];
      for (const sums of own) {
        const weight = unitsOf(sums) / units;
        const { n, sum, squares } = sums[version] ?? { n: 1, sum: 0, squares: 0 };
        mean += (weight * sum) / n;
        square += (weight * squares) / n;
        spread += (weight * weight) / n;
      }
      const n = 1 / spread;
      return [version, { n, sum: mean * n, squares: square * n }];
    }),
  );
}

function unitsOf(sums: Sums): number {
  return Object.values(sums).reduce((total, { n }) => total + n, 0);
}
