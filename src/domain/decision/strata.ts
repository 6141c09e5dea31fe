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
 * group without units of some version says nothing of it and is left out; where none is left, all are added up.
 */
export function comparableOf(state: Pick<RuleState, 'sums'>): Sums {
  const totals = totalsOf(state);
  const groups = Object.values(state.sums);
  if (groups.length < 2) return totals;
  const versions = Object.keys(totals).filter((version) => (totals[version]?.n ?? 0) > 0);
  const common = groups.filter((sums) => versions.every((version) => (sums[version]?.n ?? 0) > 0));
  const units = common.reduce((sum, sums) => sum + unitsOf(sums), 0);
  if (units === 0) return totals;
  return Object.fromEntries(
    versions.map((version) => {
      let [mean, square, spread] = [0, 0, 0];
      for (const sums of common) {
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
