import { formatDuration } from '../duration.ts';
import { isOfRule } from '../decision/evidence-lines.ts';
import { formatCount, formatEfficacy } from '../decision/sentence.ts';
import type { VolumeKind } from '../measure.ts';
import type { UpgradeReport } from './report.ts';

/** The report as Markdown, for people: what was decided by whom, on which numbers, and what runs where. */
export function renderReport(report: UpgradeReport): string {
  const sections = [
    summary(report),
    decision(report),
    efficacy(report),
    servers(report),
    list(
      'Business cut by forced drains',
      report.forcedDrains.map(
        ({ server, inFlight, at }) => `${server}: ${formatCount(inFlight)} in flight at ${at}`,
      ),
    ),
    list(
      'Gateways declared gone',
      report.exclusions.map(
        ({ gateway, by, at, reason, stands }) =>
          `${gateway}: by ${by} at ${at}: ${reason} (${STANDS[stands]})`,
      ),
    ),
    list('Notes', report.notes),
    timeline(report),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

const OUTCOME = {
  promoted: 'promoted',
  rolledBack: 'rolled back to the baseline',
  incomplete: 'incomplete: some servers were left out',
} as const satisfies Record<UpgradeReport['outcome'], string>;

const STANDS = {
  wanted: 'not carried out',
  excluded: 'not back',
  refused: 'refused: it answered',
  back: 'back since',
} as const satisfies Record<UpgradeReport['exclusions'][number]['stands'], string>;

function summary(report: UpgradeReport): string {
  const { service, upgradeId, baseline, candidates, outcome, startedAt, endedAt, winner, retired } = report;
  const lengthMs = Date.parse(endedAt) - Date.parse(startedAt);
  return [
    `# Upgrade of ${text(service)}: ${OUTCOME[outcome]}`,
    '',
    `- Upgrade: \`${upgradeId}\``,
    `- From ${startedAt} to ${endedAt} (${formatDuration(lengthMs)})`,
    `- Baseline: ${text(baseline)}`,
    `- Candidates: ${candidates.map(({ version, mode, cluster }) => text(`${version} (${mode}, on ${cluster})`)).join('; ')}`,
    `- Winner: ${winner === null ? 'none' : `**${text(winner)}**`}`,
    `- Free to go offline: ${retired.length === 0 ? 'nothing' : text(retired.join(', '))}`,
    `- Route table at the end: version ${report.routesVersion}`,
  ].join('\n');
}

function decision({ decision: { rule, verdict, approval, aborted, pulled } }: UpgradeReport): string {
  const lines = [
    `Rule \`${rule}\`. ${verdict === null ? 'There was no verdict.' : text(verdict.sentence)}`,
    ...(verdict !== null && isOfRule(verdict) ? verdict.notes.map(text) : []),
    ...(approval === null
      ? []
      : [
          `Approved: ${text(approval.candidate)}, by ${text(approval.by)} at ${approval.at}` +
            `${approval.comment === undefined ? '' : `, saying “${text(approval.comment)}”`}. ` +
            `On these numbers: ${text(approval.verdict.sentence)}`,
        ]),
    ...(aborted === null
      ? []
      : [`Aborted by ${text(aborted.by)} at ${aborted.at}: ${text(aborted.reason)}.`]),
    ...Object.entries(pulled).map(
      ([version, reason]) => `Pulled during the trial: ${text(version)} (${text(reason)}).`,
    ),
  ];
  return ['## Decision', ...lines].join('\n\n');
}

function efficacy({ decision: { efficacy: answer } }: UpgradeReport): string {
  if (answer.arms.length === 0) return '';
  const rows = answer.arms.map(({ version, role, allocated, volume, efficacy: ratio, pulled }) => [
    version,
    pulled === undefined ? role : `${role}, pulled`,
    formatCount(allocated),
    answer.volume === 'amount' ? volume.toFixed(2) : formatCount(volume),
    ratio === null ? 'no data' : formatEfficacy(ratio, answer.volume),
  ]);
  const head = ['Version', 'Role', 'Allocated', VOLUME_TITLE[answer.volume], 'Efficacy'];
  return `## Efficacy\n\n${table(head, rows)}`;
}

const VOLUME_TITLE = {
  successes: 'Successes',
  trades: 'Trades',
  clicks: 'Clicks',
  amount: 'Amount',
} as const satisfies Record<VolumeKind, string>;

function servers(report: UpgradeReport): string {
  const rows = report.servers.map(({ name, cluster, release, leftOut }) => [
    name,
    cluster,
    release,
    leftOut ? 'left out' : '',
  ]);
  return `## Servers\n\n${table(['Server', 'Cluster', 'Version', ''], rows)}`;
}

function timeline(report: UpgradeReport): string {
  const rows = report.timeline.map(({ at, phase, what, by }) => [at, phase, what, by ?? '']);
  return rows.length === 0 ? '' : `## Timeline\n\n${table(['At', 'Phase', 'What', 'By'], rows)}`;
}

function list(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : [`## ${title}`, '', ...items.map((item) => `- ${text(item)}`)].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows.map((row) => row.map(text))];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** What people and servers said must not become markup: a comment with a link stays a comment. */
function text(value: string): string {
  return value.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/[\\`*_[\]<>|]/g, '\\$&');
}
