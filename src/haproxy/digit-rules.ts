/**
 * Adds a number to a stick-table entry, binary digit by binary digit, since an entry can only be counted up by one: digit i
 * in `gpc(i)`, `at` further on.
 */
export function digitRules(parts: {
  readonly of: string;
  /** Which of the tracked entries. */
  readonly in: number;
  readonly from?: number;
  /** Up to below this digit. */
  readonly to: number;
  readonly at?: number;
}): string[] {
  const { of, from = 0, to, at = 0 } = parts;
  return Array.from({ length: to - from }, (_, index) => {
    const digit = from + index;
    return `http-response sc-inc-gpc(${at + digit},${parts.in}) if { var(txn.${of}),and(${2n ** BigInt(digit)}) gt 0 }`;
  });
}
