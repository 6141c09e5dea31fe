import { z } from 'zod';
import { expectedShares } from '../domain/decision/expected-shares.ts';
import type { RouteTable } from '../domain/routes/table.ts';

/** The shares that recent tables of one trial asked for. */
export interface TrialShares {
  /** Salt of the split. */
  readonly trial: string;
  /** Version of the table → release → share of the counted units. */
  readonly byTable: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export const trialSharesSchema = z.strictObject({
  trial: z.string(),
  byTable: z.record(z.string(), z.record(z.string(), z.number())),
}) satisfies z.ZodType<TrialShares>;

/** Tables that are remembered: stages, pulls and new shares of a trial; without its shares a block is not checked. */
const REMEMBERED = 200;

/** The same state, with the shares of its active table noted where that is of a trial. */
export function sharesNoted<T extends { readonly active: RouteTable; readonly trialShares?: TrialShares }>(
  state: T,
): T {
  const { split, version } = state.active;
  const shares = split === null ? undefined : expectedShares(split);
  if (split === null || shares === undefined) return state;
  const known = state.trialShares?.trial === split.salt ? Object.entries(state.trialShares.byTable) : [];
  const recent = [...known, [String(version), shares] as const].slice(-REMEMBERED);
  return { ...state, trialShares: { trial: split.salt, byTable: Object.fromEntries(recent) } };
}
