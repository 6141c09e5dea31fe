import { z } from 'zod';
import type { RouteTable } from '../domain/routes/table.ts';

/** When the routes of the present (or last) trial came into effect: from then on its units are counted. */
export interface TrialStart {
  /** Salt of the split. */
  readonly trial: string;
  /** ISO 8601. */
  readonly at: string;
}

export const trialStartSchema = z.strictObject({
  trial: z.string(),
  at: z.string(),
}) satisfies z.ZodType<TrialStart>;

/** The same state, with the moment noted where its active table is the first one of a trial. */
export function startNoted<T extends { readonly active: RouteTable; readonly trialStart?: TrialStart }>(
  state: T,
  at: string,
): T {
  const { split } = state.active;
  if (split === null || state.trialStart?.trial === split.salt) return state;
  return { ...state, trialStart: { trial: split.salt, at } };
}
