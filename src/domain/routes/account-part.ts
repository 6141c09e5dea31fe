import type { TrialCounting } from './table.ts';

/** The part of all accounts that a gateway counts, from 1; the other gateways of the service count the others. */
export interface AccountPart {
  readonly part: number;
  readonly of: number;
}

export const EVERY_ACCOUNT: AccountPart = { part: 1, of: 1 };

/**
 * What falls to a gateway: by its place among those that the table names, or else as it was configured. Undefined where
 * the table does not name it: the others count all.
 */
export function accountPartOf(
  { gateways }: Pick<TrialCounting, 'gateways'>,
  gateway: string,
  configured: AccountPart,
): AccountPart | undefined {
  if (gateways === undefined) return configured;
  const index = gateways.indexOf(gateway);
  return index < 0 ? undefined : { part: index + 1, of: gateways.length };
}
