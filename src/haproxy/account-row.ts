import { AMOUNT_DECIMALS } from '../domain/amount.ts';
import type { VolumeKind } from '../domain/measure.ts';
import { cappedBy } from '../gateway/unit-slot.ts';
import { ACCOUNT_COUNTS, ACCOUNT_TAGS, AMOUNT_BITS } from './layout.ts';
import type { TableRow } from './runtime-answers.ts';

/** An account's first window, or a later one, as HAProxy counted it. */
export interface Window {
  readonly row: TableRow;
  /** When it began, in seconds since 1970. */
  readonly second: number;
  readonly version: number;
  readonly release: string | undefined;
  readonly slot: number;
  /** First number of its group, where the policy deals groups at random. */
  readonly group: number;
  /** Nobody of its version could take it: it is no window, and `release` is where it was dealt, if anywhere. */
  readonly isTurnedAway: boolean;
}

export function windowsOf(rows: readonly TableRow[], releases: ReadonlyMap<number, string>): Window[] {
  return rows.flatMap((row): Window[] => {
    const tag = (index: number): number => row.fields.get(`gpt${index}`) ?? 0;
    const second = tag(ACCOUNT_TAGS.second);
    // It is entering just now.
    if (second === 0) return [];
    return [
      {
        row,
        second,
        version: tag(ACCOUNT_TAGS.tableVersion),
        release: releases.get(tag(ACCOUNT_TAGS.release)),
        slot: tag(ACCOUNT_TAGS.slot),
        group: tag(ACCOUNT_TAGS.group),
        isTurnedAway: tag(ACCOUNT_TAGS.turnedAway) === 1,
      },
    ];
  });
}

export function countOf({ fields }: TableRow, index: number): number {
  return fields.get(`gpc${index}`) ?? 0;
}

/** The same as of the embedded gateway's accounts (src/gateway/account-units.ts). */
export function outcomeOf(
  row: TableRow,
  kind: VolumeKind,
  cap: number | undefined,
): { value: number; uncapped: number } {
  const matches = countOf(row, ACCOUNT_COUNTS.matches);
  const uncapped = kind === 'amount' ? amountOf(row) : matches;
  const isCapped = kind !== 'successes' && cap !== undefined;
  return {
    value: isCapped ? cappedBy(cap, uncapped) : Math.min(1, matches / countOf(row, ACCOUNT_COUNTS.allocated)),
    uncapped,
  };
}

function amountOf(row: TableRow): number {
  let sum = 0n;
  for (let bit = 0; bit < AMOUNT_BITS; bit += 1)
    sum += BigInt(countOf(row, ACCOUNT_COUNTS.amount + bit)) << BigInt(bit);
  const moved = BigInt(countOf(row, ACCOUNT_COUNTS.amounts)) << BigInt(AMOUNT_BITS - 1);
  return Number(sum - moved) / 10 ** AMOUNT_DECIMALS;
}
