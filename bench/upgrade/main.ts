import { Command, InvalidArgumentError } from 'commander';
import { goalsOf } from './goals.ts';
import { batchTable, goalTable, runTable } from './result-table.ts';
import { measureUpgrade, type RunResult } from './upgrade-run.ts';

const WHAT_COUNTS = `
Ten servers (six of the baseline, two candidates with two each), a gateway, controller, agents, worker and Temporal as
real processes on this machine, under a fixed rate of requests, slow ones (1 to 3 s) and transactions included. The new
versions take a while to start by themselves (--start), as business software does.
Wall time: the candidate clusters from the closing of their ingress to the trial's routes in effect, and the promotion
from moving all traffic to the last batch open. Preflight, trial and decision are left out: their length is the plan's.
Lower bound, for each batch that of its slowest server, added up: drain (from the last gateway's acknowledgement of the
closing to the last business in flight on the server, seen at most 40 ms too early), stop (SIGTERM to exit) and start
(process started to healthy), as gateways and businesses recorded them.
p99: of all but the slow requests, during the seconds of that wall time, and before the upgrade at the same rate. Load,
gateway and serving servers go first on the processor (real-time scheduling; Linux, root), for in production they do not
share two cores with the control plane and with the starts of other servers' software. --shared-processor leaves that out.
`;

interface Options {
  readonly runs: number;
  readonly rate: number;
  readonly before: number;
  readonly start: number;
  readonly batch: number;
  readonly sharedProcessor: boolean;
  readonly json: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It has to be a number above 0.');
}

async function main({ runs, rate, before, start, batch, sharedProcessor, json }: Options): Promise<void> {
  const results: RunResult[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const onProgress = (sentence: string): void => void process.stderr.write(`run ${run}: ${sentence}\n`);
    onProgress('starting 10 servers');
    results.push(
      await measureUpgrade({
        ratePerSecond: rate,
        beforeMs: before * 1000,
        startDelayMs: start * 1000,
        promotionBatch: batch,
        ownProcessor: !sharedProcessor,
        onProgress,
      }),
    );
  }
  const goals = goalsOf(results);
  if (!sharedProcessor && results.some(({ ownProcessor }) => !ownProcessor)) {
    process.stderr.write(
      'The system does not allow real-time scheduling: all processes shared the processor alike.\n',
    );
  }
  process.exitCode = goals.every(({ kept }) => kept) ? 0 : 1;
  if (json) {
    process.stdout.write(`${JSON.stringify({ goals, runs: results }, null, 2)}\n`);
    return;
  }
  const batches = results.map((run, index) => `Run ${index + 1}\n${batchTable(run)}`);
  process.stdout.write([WHAT_COUNTS, ...batches, runTable(results), goalTable(goals), ''].join('\n'));
}

await new Command('bench:upgrade')
  .description('How long an upgrade takes beyond what it cannot do without, and what clients notice of it.')
  .option('--runs <count>', 'upgrades; the median counts', positive, 3)
  .option('--rate <count>', 'requests in a second', positive, 200)
  .option('--before <seconds>', 'how long p99 is measured before the upgrade', positive, 20)
  .option('--start <seconds>', 'what a new version takes to start by itself', positive, 2)
  .option('--batch <count>', 'servers changed at once in the promotion', positive, 3)
  .option('--shared-processor', 'all processes share the processor alike', false)
  .option('--json', 'everything as JSON', false)
  .action(main)
  .parseAsync();
