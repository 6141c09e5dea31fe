import { HANDED_OVER } from './handover.ts';
import {
  ACCOUNT_COUNTS,
  ACCOUNT_KEPT_MS,
  ACCOUNT_ROWS,
  ACCOUNT_TAGS,
  type RuleParts,
  TABLES,
  UNIT_DIGITS,
  UNIT_KEPT_MS,
} from './layout.ts';

/** A stick table of the rendered configuration, in a backend of its own. */
export interface UnitTable {
  readonly name: string;
  readonly comment: string;
  readonly line: string;
}

/** Tables in which units of a trial are counted. */
export function unitTables({ unit, measure }: Pick<RuleParts, 'unit' | 'measure'>): UnitTable[] {
  const hasAmounts = measure.volume.amountHeader !== undefined;
  if (unit === 'request') {
    // Entries with amounts take about 600 bytes, others 150.
    const digits = hasAmounts ? UNIT_DIGITS.all : 1;
    return [
      {
        name: TABLES.units,
        comment:
          'Units of a trial: a few entries a second, which the companion takes out once all outcomes are known.',
        line: `stick-table type string len 200 size 100k nopurge expire ${UNIT_KEPT_MS / 60_000}m store http_req_cnt,gpc(${digits})`,
      },
    ];
  }
  const counts = hasAmounts ? ACCOUNT_COUNTS.all : ACCOUNT_COUNTS.amounts;
  return [
    {
      name: TABLES.units,
      comment: 'Requests of accounts for which there was no room.',
      line: 'stick-table type string len 20 size 16 nopurge expire 24d store http_req_cnt',
    },
    {
      name: TABLES.accounts,
      comment:
        'Accounts of a trial within their windows; the companion takes each out when its outcome is known.',
      line: `stick-table type string len 20 size ${ACCOUNT_ROWS} nopurge expire ${ACCOUNT_KEPT_MS / 86_400_000}d${HANDED_OVER} store gpt(${ACCOUNT_TAGS.all}),gpc(${counts})`,
    },
  ];
}
