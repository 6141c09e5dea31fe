import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { findHaproxy } from '../../src/haproxy/haproxy-command.ts';
import { type Report, reportJson, reportTables, type ScaleRow, type SwitchRow } from './report.ts';
import { measureScale } from './scale.ts';
import { measurePlainSwitches, measureSwitches } from './switches.ts';

const WHAT_COUNTS = `
Switch: requests flow through all gateways to one version; an activation at the flow controller sends them to the other.
From the call of the activation to the arrival, at a server of the old version, of the last request that any gateway
sent by the old table; beside it, until all gateways have acknowledged. An HAProxy alone, told by one "set map" on its
socket, in the same run. Flow controller, gateways, HAProxies and their companions are processes of their own; clients
and servers share one. Each gateway's last moment is seen only as exactly as its requests come: at R requests/s over G
gateways there is one every G/R s ("resolution"), so that a figure may lie that much too low.

Scale: one gateway, and a table of so many servers, in three clusters. Half of them are closed (until acknowledged),
asked what is in flight, and opened again. Goal: five times as many servers take at most five times as long.
Exit code 1 where that is missed, or a request failed.
`;

const PROCESS_BUDGET = 20_000;
const KINDS = ['embedded', 'haproxy'] as const;

interface Options {
  readonly gateways: readonly number[];
  readonly activations: number;
  readonly rate: number;
  readonly servers: readonly number[];
  readonly rounds: number;
  readonly only?: 'switch' | 'scale';
  readonly kind?: (typeof KINDS)[number];
  readonly json: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('It has to be a whole number above 0.');
}

function list(text: string): number[] {
  return text.split(',').map(positive);
}

/** Fifty gateways are a hundred processes at most: with few processors they come to nothing else at a high rate. */
function rateFor(gateways: number, ratePerSecond: number): number {
  return Math.min(ratePerSecond, PROCESS_BUDGET / gateways);
}

async function main(options: Options): Promise<void> {
  const found = await findHaproxy(process.env);
  const kinds = KINDS.filter(
    (kind) => (options.kind ?? kind) === kind && (kind === 'embedded' || found !== null),
  );
  if (found === null) process.stderr.write('HAProxy is not here: only embedded gateways are measured\n');
  const haproxy = found ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'routes-'));
  let broken = 0;
  const switches: SwitchRow[] = [];
  const scales: ScaleRow[] = [];
  const own = (name: string): string => join(folder, name);
  const say = (what: string): void => void process.stderr.write(`${what}\n`);
  try {
    if (options.only !== 'scale') {
      const run = { haproxy, activations: options.activations, ratePerSecond: options.rate };
      if (found !== null) {
        say('an HAProxy alone, one command');
        const alone = { ...run, folder: own('alone'), gateways: 1 };
        switches.push({
          what: 'HAProxy alone',
          gateways: 1,
          ratePerSecond: options.rate,
          ...(await measurePlainSwitches(alone)),
        });
      }
      for (const gateways of options.gateways) {
        for (const kind of kinds) {
          say(`${kind}: switches of ${gateways}`);
          const ratePerSecond = rateFor(gateways, options.rate);
          const these = { ...run, ratePerSecond, folder: own(`${kind}-${gateways}`), gateways };
          try {
            switches.push({ what: kind, gateways, ratePerSecond, ...(await measureSwitches(kind, these)) });
          } catch (error) {
            // What was measured before is told all the same.
            broken += 1;
            say(`not measured: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
      }
    }
    if (options.only !== 'switch') {
      for (const servers of options.servers) {
        for (const kind of kinds) {
          say(`${kind}: ${servers} servers`);
          const run = { folder: own(`${kind}-${servers}-servers`), haproxy, servers, rounds: options.rounds };
          scales.push({ kind, servers, ...(await measureScale(kind, run)) });
        }
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const report: Report = { switches, scales };
  const { text, kept } = options.json ? reportJson(report) : reportTables(report);
  process.stdout.write(`${text}\n`);
  process.exitCode = kept && broken === 0 ? 0 : 1;
}

await new Command('bench:routes')
  .description('How soon gateways go by new routes, and how that grows with gateways and servers.')
  .option('--gateways <counts>', 'with so many gateways, one after the other', list, [1, 10, 50])
  .option('--activations <count>', 'of each', positive, 50)
  .option('--rate <per second>', 'requests over all gateways, less with many of them', positive, 2_000)
  .option('--servers <counts>', 'in the table', list, [1_000, 5_000])
  .option('--rounds <count>', 'of closing and opening; medians count', positive, 7)
  .option('--only <part>', 'switch or scale')
  .option('--kind <kind>', 'embedded or haproxy')
  .option('--json', 'the figures as JSON', false)
  .addHelpText('after', WHAT_COUNTS)
  .action(main)
  .parseAsync();
// Servers of this process would keep it.
process.exit();
