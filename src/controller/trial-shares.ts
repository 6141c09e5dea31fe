import { z } from 'zod';
import { expectedGroupShares, type GroupShares } from '../domain/decision/expected-group-shares.ts';
import { expectedShares } from '../domain/decision/expected-shares.ts';
import type { RouteTable } from '../domain/routes/table.ts';

/** The shares that recent tables of one trial asked for. */
export interface TrialShares {
  /** Salt of the split. */
  readonly trial: string;
  /** Version of the table → release → share of the counted units. */
  readonly byTable: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Where groups are dealt at random instead: version of the table → group → release → share. */
  readonly groupsByTable?: Readonly<Record<string, GroupShares>>;
}

const sharesSchema = z.record(z.string(), z.number());
export const trialSharesSchema = z.strictObject({
  trial: z.string(),
  byTable: z.record(z.string(), sharesSchema),
  groupsByTable: z.record(z.string(), z.record(z.string(), sharesSchema)).exactOptional(),
}) satisfies z.ZodType<TrialShares>;

/** Tables that are remembered: stages, pulls and new shares of a trial; without its shares a block is not checked. */
const REMEMBERED = 200;

/** The same state, with the shares of its active table noted where that is of a trial. */
export function sharesNoted<T extends { readonly active: RouteTable; readonly trialShares?: TrialShares }>(
  state: T,
): T {
  const { split, version } = state.active;
  if (split === null) return state;
  const shares = expectedShares(split);
  const groups = expectedGroupShares(split);
  if (shares === undefined && groups === undefined) return state;
  const known = state.trialShares?.trial === split.salt ? state.trialShares : undefined;
  const byTable = withTable(known?.byTable, version, shares);
  const groupsByTable = withTable(known?.groupsByTable, version, groups);
  return {
    ...state,
    trialShares: {
      trial: split.salt,
      byTable,
      ...(Object.keys(groupsByTable).length === 0 ? {} : { groupsByTable }),
    },
  };
}

function withTable<S>(
  known: Readonly<Record<string, S>> | undefined,
  version: number,
  shares: S | undefined,
): Readonly<Record<string, S>> {
  if (shares === undefined) return known ?? {};
  const all = [...Object.entries(known ?? {}), [String(version), shares] as const];
  return Object.fromEntries(all.slice(-REMEMBERED));
}
