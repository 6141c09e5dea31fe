import Table from 'cli-table3';
import { formatDuration } from '../../src/domain/duration.ts';
import { formatCount } from '../../src/domain/decision/sentence.ts';
import type { DemoResult, Ratio } from '../result.ts';
import { byCluster } from './clusters.ts';
import type { Paint } from './paint.ts';
import { latency } from './texts.ts';

/** The result for a terminal: what clients saw, what runs where, which version sold how well. */
export function resultTable(result: DemoResult, paint: Paint): string {
  const [head, ...rows] = efficacyRows(result);
  const numbers = new Table({ style: { head: [], border: [] } });
  numbers.push(...totalRows(result).map(([name, value]) => ({ [name]: value })));
  const efficacy = new Table({ head: head ?? [], style: { head: [], border: [] } });
  efficacy.push(...rows);
  return [numbers.toString(), efficacy.toString(), conclusion(result, paint)].join('\n');
}

/** Name and value of everything that is one number. */
export function totalRows(result: DemoResult): [string, string][] {
  const { load, transactions } = result;
  return [
    ['Requests sent', `${formatCount(load.sent)}, at least ${load.slowestSecond} in every second`],
    ['Answered', formatCount(load.answered)],
    ['Lost', formatCount(load.lost)],
    [
      'Transactions',
      `${formatCount(transactions.started)} started, ${formatCount(transactions.finished)} finished`,
    ],
    ['Transactions cut', formatCount(transactions.cut)],
    ['Latency', `p50 ${latency(load.p50Ms ?? 0)}, p99 ${latency(load.p99Ms ?? 0)}`],
    ...serverRows(result.servers),
    ...tierRows(result),
    ['Outcome', outcomeText(result)],
    ['Duration', `upgrade ${formatDuration(result.upgradeMs)}, start-up ${formatDuration(result.startUpMs)}`],
  ];
}

function tierRows({ tiers }: DemoResult): [string, string][] {
  if (tiers === null) return [];
  const { mixed, contextMissing, contextOutdated, web } = tiers;
  return [
    ...serverRows(web),
    ['Met more than one version', `${formatCount(mixed)} business transactions`],
    [
      'Calls by the context',
      `${formatCount(contextMissing)} without, ${formatCount(contextOutdated)} with a version that was out by then`,
    ],
  ];
}

function serverRows(servers: DemoResult['servers']): [string, string][] {
  const clusters = byCluster(servers);
  return [...clusters].map(([cluster, members]) => [
    `Cluster ${cluster}`,
    members
      .map(({ name, version, healthy }) => `${name} ${version ?? 'nothing'}${healthy ? '' : ' (ill)'}`)
      .join(', '),
  ]);
}

function outcomeText(result: DemoResult): string {
  const { outcome, winner, approvedBy, upgrade } = result;
  switch (outcome) {
    case 'promoted': {
      const how = isChosen(result) ? 'was chosen' : 'won, approved';
      return `${winner ?? ''} ${how} by ${approvedBy ?? 'the plan'}, promoted to every server`;
    }
    case 'rolledBack':
      return `rolled back: every server runs ${upgrade.baseline}`;
    case 'incomplete':
      return 'incomplete: servers were left out';
  }
}

/** The operator took another version than the trial did, or the trial did not say. */
function isChosen({ winner, upgrade }: DemoResult): boolean {
  const { verdict } = upgrade.decision;
  return verdict !== null && !(verdict.kind === 'winner' && verdict.winner === winner);
}

/** Head and rows; the first cell is the version. */
export function efficacyRows(result: DemoResult): string[][] {
  const { efficacy, winner } = result;
  const mark = isChosen(result) ? 'chosen' : 'winner';
  return [
    ['Version', 'Efficacy in the trial', 'Whole run, by gateways', 'Whole run, by clients'],
    ...efficacy.map(({ version, trial, gateways, clients }) => [
      version === winner ? `${version} (${mark})` : version,
      ratioText(trial),
      ratioText(gateways),
      ratioText(clients),
    ]),
  ];
}

function ratioText({ allocated, volume, efficacy }: Ratio): string {
  if (efficacy === null) return 'no data';
  return `${(efficacy * 100).toFixed(1)} % (${formatCount(volume)} of ${formatCount(allocated)})`;
}

function sayOk({ tiers }: DemoResult): string {
  const nothing = 'Nothing was lost, nothing was cut.';
  return tiers === null ? nothing : `${nothing} Every business transaction met one version all the way down.`;
}

const MOST_SHOWN = 10;

function conclusion(result: DemoResult, paint: Paint): string {
  const agree = result.countsAgree
    ? 'Gateways and clients counted the same.'
    : paint('yellow', 'Gateways and clients did not count the same.');
  if (result.ok) return `${paint(['bold', 'green'], sayOk(result))} ${agree}`;
  return [
    ...result.problems.map((problem) => paint(['bold', 'red'], `Failed: ${problem}.`)),
    ...result.losses
      .slice(0, MOST_SHOWN)
      .map(({ at, kind, path, error }) => `  lost at ${timeOf(at)}: ${path}, ${kind}: ${error}`),
    ...result.cuts
      .slice(0, MOST_SHOWN)
      .map(
        ({ at, transaction, path, reason }) => `  cut at ${timeOf(at)}: ${transaction} at ${path}: ${reason}`,
      ),
    ...(result.tiers?.mixes ?? [])
      .slice(0, MOST_SHOWN)
      .map(
        ({ at, kind, business, versions }) =>
          `  mixed at ${timeOf(at)}: ${kind} ${business} met ${versions.join(' and ')}`,
      ),
    agree,
  ].join('\n');
}

function timeOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(11, 23);
}
