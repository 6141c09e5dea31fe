import Table from 'cli-table3';
import type { RunResult } from './upgrade-run.ts';
import type { Goal } from './goals.ts';

/** Batches of one run: what each could not do without, what it took, and where the time went. */
export function batchTable({ batches }: RunResult): string {
  const table = plain(['batch', 'slowest', 'drain', 'stop', 'start', 'bound', 'wall', 'steps, ms']);
  for (const { servers, slowest, wallMs, steps } of batches) {
    table.push([
      servers.join(' '),
      slowest.server,
      ...[slowest.drainMs, slowest.stopMs, slowest.startMs, slowest.totalMs, wallMs].map((ms) =>
        ms.toFixed(0),
      ),
      steps.map(({ activity, ms }) => `${activity} ${ms.toFixed(0)}`).join('\n'),
    ]);
  }
  return table.toString();
}

export function runTable(runs: readonly RunResult[]): string {
  const table = plain([
    'run',
    'wall, ms',
    'lower bound, ms',
    'ratio',
    'p99 before, ms',
    'p99 during, ms',
    'ratio',
    'sent',
    'lost',
    'transactions',
    'cut',
  ]);
  for (const [index, run] of runs.entries()) {
    table.push([
      index + 1,
      run.wallMs.toFixed(0),
      run.boundMs.toFixed(0),
      run.ratio.toFixed(2),
      run.p99BeforeMs.toFixed(1),
      run.p99DuringMs.toFixed(1),
      run.p99Ratio.toFixed(2),
      run.sent,
      run.lost,
      run.transactions,
      run.transactionsCut,
    ]);
  }
  return table.toString();
}

export function goalTable(goals: readonly Goal[]): string {
  const table = plain(['goal', 'measured', 'limit', '']);
  for (const { what, measured, limit, kept } of goals) {
    table.push([what, Number(measured.toFixed(2)), `≤ ${limit}`, kept ? 'kept' : 'MISSED']);
  }
  return table.toString();
}

function plain(head: string[]) {
  return new Table({ head, style: { head: [], border: [] } });
}
