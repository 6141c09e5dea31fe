import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { hasAnsible, mannersHere, measureAnsible } from './ansible-run.ts';
import { measureChangeover } from './changeover-run.ts';
import type { RollingResult } from './rolling-result.ts';

const WHAT_COUNTS = `
Ten servers behind HAProxy under the same load are upgraded: by Changeover, and by Ansible with community.general.haproxy
and, where it is here, with socat (drain, wait for the last connection, stop, unpack, switch, start, health, take back; serial 1 and 3).
Wall time: the playbook from its start to its end; Changeover from the closing of the first ingress to the last batch
open, without preflight, trial and decision. Lower bound: stop and start of the slowest server in each batch, added up.
Overhead: wall time beyond the lower bound. Goal: ours at most a tenth of the best playbook's.
`;

/** Ours over the best of Ansible's. */
const GOAL = 0.1;

interface Row extends RollingResult {
  readonly by: string;
}

interface Options {
  readonly runs: number;
  readonly rate: number;
  readonly before: number;
  readonly serial: readonly number[];
  readonly json: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}

function positives(text: string): number[] {
  return text.split(',').map(positive);
}

async function main({ runs, rate, before, serial, json }: Options): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rolling-'));
  const rows: Row[] = [];
  const ansible = await hasAnsible();
  try {
    for (let number = 1; number <= runs; number += 1) {
      const run = (by: string) => ({
        folder: join(folder, String(number)),
        ratePerSecond: rate,
        beforeMs: before * 1000,
        onProgress: (sentence: string) => void process.stderr.write(`run ${number}, ${by}: ${sentence}\n`),
      });
      rows.push({ by: 'Changeover, 3', ...(await measureChangeover(run('Changeover'))) });
      if (!ansible) continue;
      for (const manner of await mannersHere()) {
        for (const batch of serial) {
          const by = `Ansible ${manner}, ${batch}`;
          rows.push({ by, ...(await measureAnsible(run(by), { manner, batch })) });
        }
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  report(rows, { ansible, json });
}

function report(rows: readonly Row[], { ansible, json }: { ansible: boolean; json: boolean }): void {
  const summary = [...new Set(rows.map(({ by }) => by))].map((by) => summaryOf(by, rows));
  const ours = summary[0]?.overheadMs ?? Number.NaN;
  const best = Math.min(...summary.slice(1).map(({ overheadMs }) => overheadMs));
  const lost = summary[0]?.lost ?? Number.NaN;
  const kept = lost === 0 && (!ansible || ours <= GOAL * best);
  process.exitCode = kept ? 0 : 1;
  if (json) {
    process.stdout.write(`${JSON.stringify({ summary, ratio: ours / best, kept, rows }, null, 2)}\n`);
    return;
  }
  const table = new Table({
    head: [
      'by, servers at once',
      'wall, s',
      'lower bound, s',
      'overhead, s',
      'lost',
      'p99 before, ms',
      'p99 during, ms',
    ],
    style: { head: [], border: [] },
  });
  for (const row of summary) {
    table.push([
      row.by,
      ...[row.wallMs, row.boundMs, row.overheadMs].map((ms) => (ms / 1000).toFixed(2)),
      row.lost,
      ...[row.p99BeforeMs, row.p99DuringMs].map((ms) => ms.toFixed(1)),
    ]);
  }
  const verdict = ansible
    ? `Overhead: ${(ours / best).toFixed(3)} × the best of Ansible's (goal: at most ${GOAL}) ${kept ? 'kept' : 'MISSED'}`
    : 'ansible-playbook with community.general is not here: not compared';
  process.stdout.write([WHAT_COUNTS, table.toString(), verdict, ''].join('\n'));
}

/** Medians of the runs; what is lost is added up. */
function summaryOf(by: string, rows: readonly Row[]) {
  const mine = rows.filter((row) => row.by === by);
  const middle = (of: (row: Row) => number): number =>
    mine.map(of).sort((a, b) => a - b)[Math.floor((mine.length - 1) / 2)] ?? Number.NaN;
  return {
    by,
    wallMs: middle(({ wallMs }) => wallMs),
    boundMs: middle(({ boundMs }) => boundMs),
    overheadMs: middle(({ wallMs, boundMs }) => wallMs - boundMs),
    lost: mine.reduce((sum, row) => sum + row.lost, 0),
    p99BeforeMs: middle(({ p99BeforeMs }) => p99BeforeMs),
    p99DuringMs: middle(({ p99DuringMs }) => p99DuringMs),
  };
}

await new Command('bench:rolling')
  .description('An upgrade by Changeover on HAProxy, beside rolling upgrades of the same servers by Ansible.')
  .option('--runs <count>', 'of each; medians count', positive, 3)
  .option('--rate <count>', 'requests in a second', positive, 500)
  .option('--before <seconds>', 'how long p99 is measured before', positive, 5)
  .option('--serial <counts>', 'how many servers the playbooks take at once', positives, [3, 1])
  .option('--json', 'everything as JSON', false)
  .action(main)
  .parseAsync();
