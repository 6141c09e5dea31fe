import type { OutcomeScale, RawCounts } from './counts.ts';
import { unusable } from './unusable.ts';

/** One row of a plan's `transactions` query. */
export interface TransactionRow {
  readonly arm: string;
  readonly id: string;
  readonly atMs: number;
  /** Below 0: a refund of the transaction of the same id. */
  readonly amount?: number | undefined;
  readonly currency?: string | undefined;
  /** This row is a refund of that transaction. */
  readonly refunds?: string | undefined;
  /** The customer or account whose transactions are added up to one outcome; by default each is one of its own. */
  readonly unit?: string | undefined;
}

interface Rules extends OutcomeScale {
  readonly source: string;
  readonly currency?: string | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
  /** What is this old is settled, in milliseconds. */
  readonly settlementMs: number;
}

interface Sale extends TransactionRow {
  net: number;
}

/** Amounts of floating point may pass their bounds by this much. */
const ROUNDING = 1e-6;

/**
 * Outcomes of what is settled, by the name of the arm: duplicates dropped, refunds taken off, all in one currency.
 * A transaction counts by its own time, and less only what was refunded within the settlement time after it, so that
 * the count of a moment never changes afterwards.
 *
 * @returns outcomes of arms that have any (`n` is left at 0), and notes of what was left out
 * @throws ChangeoverError `MetricsUnusable` that names the row
 */
export function settledOutcomes(
  rows: readonly TransactionRow[],
  rules: Rules,
): { outcomes: Readonly<Record<string, Omit<RawCounts, 'n'>>>; notes: string[] } {
  const { source, sinceMs, untilMs, settlementMs } = rules;
  assertOneCurrency(rows, rules);
  const isRefund = ({ amount, refunds }: TransactionRow): boolean =>
    refunds !== undefined || (amount !== undefined && amount < 0);
  const { sales, duplicates } = salesOf(
    rows.filter((row) => !isRefund(row)),
    rules,
  );
  const settledMs = untilMs - settlementMs;
  let late = 0;
  let unknown = 0;
  const seen = new Set<string>();
  for (const refund of rows.filter(isRefund)) {
    const key = JSON.stringify(
      refund.refunds === undefined ? [refund.id, refund.atMs, refund.amount] : [refund.id],
    );
    const isDuplicate = seen.has(key);
    seen.add(key);
    const sale = sales.get(refund.refunds ?? refund.id);
    if (isDuplicate) duplicates.push(refund.id);
    else if (sale === undefined) unknown += 1;
    else if (refund.atMs > sale.atMs + settlementMs) late += 1;
    else sale.net -= refund.amount === undefined ? (sale.amount ?? 1) : Math.abs(refund.amount);
  }
  const units = new Map<string, { arm: string; value: number }>();
  for (const sale of sales.values()) {
    if (sale.atMs < sinceMs || sale.atMs >= untilMs) {
      throw unusable(
        source,
        `transaction ${sale.id} is of ${iso(sale.atMs)}, and must be from ${iso(sinceMs)} to before ${iso(untilMs)}, $2 and $3 of the query`,
      );
    }
    if (sale.net < -ROUNDING) {
      throw unusable(
        source,
        `transaction ${sale.id} has ${sale.net} left after its refunds, and must have 0 or more`,
      );
    }
    if (sale.atMs >= settledMs) continue;
    const key = JSON.stringify([sale.arm, sale.unit ?? sale.id, sale.unit === undefined]);
    const unit = units.get(key) ?? { arm: sale.arm, value: 0 };
    unit.value += Math.max(0, sale.net);
    units.set(key, unit);
  }
  return {
    outcomes: addedUp([...units.values()], rules),
    notes: [
      ...(duplicates.length === 0 ? [] : [`${source}: ${duplicates.length} duplicate rows were dropped.`]),
      ...(late === 0 ? [] : [`${source}: ${late} refunds came after the settlement time and do not count.`]),
      ...(unknown === 0
        ? []
        : [`${source}: ${unknown} refunds are of transactions that are not there (from before the trial?).`]),
    ],
  };
}

function assertOneCurrency(rows: readonly TransactionRow[], { source, currency }: Rules): void {
  const wanted = currency ?? rows[0]?.currency;
  const other = rows.find((row) => row.currency !== wanted);
  if (other === undefined) return;
  const must = wanted === undefined ? 'none, as the rows before' : wanted;
  throw unusable(
    source,
    `transaction ${other.id} has the currency ${other.currency ?? 'none'}, and must have ${must}: amounts of several currencies are not added up`,
  );
}

function salesOf(
  rows: readonly TransactionRow[],
  { source, kind }: Rules,
): { sales: Map<string, Sale>; duplicates: string[] } {
  const sales = new Map<string, Sale>();
  const duplicates: string[] = [];
  for (const row of rows) {
    if (row.amount === undefined && (kind === 'amount' || kind === 'clicks')) {
      throw unusable(
        source,
        `transaction ${row.id} has no amount, and must have one because kind is ${kind}`,
      );
    }
    const before = sales.get(row.id);
    if (before === undefined) {
      sales.set(row.id, { ...row, net: row.amount ?? 1 });
      continue;
    }
    for (const field of ['arm', 'amount', 'unit'] as const) {
      if (before[field] === row[field]) continue;
      throw unusable(
        source,
        `transaction ${row.id} is there twice, with ${field} ${before[field] ?? 'none'} and ${row[field] ?? 'none'}, and must be the same where its id is`,
      );
    }
    duplicates.push(row.id);
    // The order of rows is the database's own: the earliest counts, whichever comes first.
    if (row.atMs < before.atMs) sales.set(row.id, { ...row, net: before.net });
  }
  return { sales, duplicates };
}

function addedUp(
  units: readonly { arm: string; value: number }[],
  { kind, cap }: OutcomeScale,
): Record<string, Omit<RawCounts, 'n'>> {
  const isAmount = kind === 'amount' || kind === 'clicks';
  const sums: Record<string, { sum: number; squares: number; uncapped: number }> = {};
  for (const { arm, value } of units) {
    const outcome = isAmount ? Math.min(value, cap ?? Infinity) : value > 0 ? 1 : 0;
    const total = (sums[arm] ??= { sum: 0, squares: 0, uncapped: 0 });
    total.sum += outcome;
    total.squares += outcome * outcome;
    total.uncapped += value;
  }
  if (isAmount) return sums;
  return Object.fromEntries(Object.entries(sums).map(([arm, { sum }]) => [arm, { sum }]));
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}
