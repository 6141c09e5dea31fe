import type { RunResult } from './upgrade-run.ts';

export interface Goal {
  readonly what: string;
  readonly measured: number;
  readonly limit: number;
  readonly kept: boolean;
}

/** Ratios by the median of the runs; what is lost or cut by all of them together. */
export function goalsOf(runs: readonly RunResult[]): readonly Goal[] {
  const goal = (what: string, measured: number, limit: number): Goal => ({
    what,
    measured,
    limit,
    kept: measured <= limit,
  });
  return [
    goal('wall time over the lower bound, median', median(runs.map(({ ratio }) => ratio)), 1.25),
    goal('p99 during the changes over p99 before, median', median(runs.map(({ p99Ratio }) => p99Ratio)), 1.3),
    goal('requests lost, all runs', total(runs.map(({ lost }) => lost)), 0),
    goal('transactions cut, all runs', total(runs.map(({ transactionsCut }) => transactionsCut)), 0),
  ];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.ceil((sorted.length - 1) / 2)],
  ];
  return (low + high) / 2;
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
