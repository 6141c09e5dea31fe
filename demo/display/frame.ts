import { verdictNotes } from '../../src/cli/verdict-notes.ts';
import { evidenceLines } from '../../src/domain/decision/evidence-lines.ts';
import { formatEfficacy } from '../../src/domain/decision/sentence.ts';
import type { Phase } from '../../src/domain/upgrade/phase.ts';
import type { ServerStage } from '../../src/domain/upgrade/state.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import type { Snapshot } from '../snapshot.ts';
import { byCluster } from './clusters.ts';
import { clock, versionStyle, type Paint } from './paint.ts';
import { trafficText, waitingText } from './texts.ts';

export interface FrameOptions {
  readonly paint: Paint;
  /** Of the plan, the baseline first. */
  readonly versions: readonly string[];
  readonly elapsedMs: number;
}

/** The demo at a glance: the way of the upgrade, servers by cluster, traffic, efficacy. */
export function frame(snapshot: Snapshot, options: FrameOptions): string {
  const { status, load } = snapshot;
  const title = `${clock(options.elapsedMs).padStart(7)}  ${wayText(status, options.paint)}`;
  return [
    '',
    title,
    '',
    ...clusterLines(status, options),
    '',
    ...efficacyLines(snapshot, options),
    `  traffic   ${load === null ? 'none yet' : trafficText(load)}`,
    `  now       ${waitingText(snapshot)}`,
    ...status.problems.map(({ where, message }) =>
      options.paint('red', `  problem   ${where}: ${message.split('\n')[0] ?? ''}`),
    ),
    '',
  ].join('\n');
}

/** The stations of the way, each with the phases that belong to it. */
const WAY: readonly (readonly [string, readonly Phase[]])[] = [
  ['preflight', ['preflight']],
  ['out of traffic', ['closingIngress', 'draining']],
  ['deploy', ['staging', 'deploying', 'reportingReady']],
  ['trial', ['applyingRoutes', 'trial']],
  ['approval', ['awaitingApproval', 'awaitingDecision']],
  ['promotion', ['promoting', 'awaitingOperator']],
  ['done', ['finishing', 'done']],
];

function wayText({ phase, goal }: UpgradeStatus, paint: Paint): string {
  if (goal === 'rollback') return paint(['bold', 'yellow'], `rolling back (${phase})`);
  const present = WAY.findIndex(([, phases]) => phases.includes(phase));
  return WAY.map(([name], index) => {
    if (index < present) return paint('green', `✓ ${name}`);
    return index === present ? paint('bold', `▶ ${name}`) : paint('gray', name);
  }).join('  ');
}

const STAGE_MARK: Readonly<Record<ServerStage, string>> = {
  open: '●',
  closing: '◐',
  draining: '◐',
  drained: '○',
  changing: '↻',
  changed: '↻',
  ready: '◔',
  opening: '◕',
  out: '×',
  removed: '×',
};

function clusterLines({ servers }: UpgradeStatus, { paint, versions }: FrameOptions): string[] {
  const clusters = byCluster(servers);
  return [...clusters].map(([cluster, members]) => {
    const blocks = members.map(({ name, release, stage }) => {
      const block = paint(
        versionStyle(versions, release).block,
        ` ${STAGE_MARK[stage]} ${release.padEnd(5)} `,
      );
      return `${block} ${paint('gray', `${name} ${stage}`.padEnd(18))}`;
    });
    return `  ${cluster.padEnd(8)}  ${blocks.join(' ')}`;
  });
}

const BAR_WIDTH = 24;

function efficacyLines(snapshot: Snapshot, { paint, versions }: FrameOptions): string[] {
  const { efficacy, status } = snapshot;
  if (efficacy.readings === 0) return [];
  const { stage, stages, pulled } = status.trial;
  const share = `${Math.round(efficacy.share * 100)} %`;
  const head = `  efficacy  stage ${stage} of ${stages}, ${share} of what the policy allots; reading ${efficacy.readings}`;
  const lines = efficacy.arms.map(({ version, allocated, volume, efficacy: value }) => {
    const filled = Math.round(Math.min(1, value ?? 0) * BAR_WIDTH);
    const bar = paint(versionStyle(versions, version).bar, '█'.repeat(filled));
    const text = value === null ? 'no data' : formatEfficacy(value, efficacy.volume);
    const notes = [
      ...(version === status.winner ? [paint(['bold', 'green'], 'winner')] : []),
      ...(version in pulled ? [paint('red', 'pulled')] : []),
    ];
    return `  ${version.padEnd(8)}  ${bar}${'·'.repeat(BAR_WIDTH - filled)} ${text.padStart(7)}  ${volume} of ${allocated}  ${notes.join(' ')}`;
  });
  return [head, ...lines, ...evidenceRows(status.verdict), ...verdictRows(status.verdict), ''];
}

/** What was found, and what it may not claim. */
function verdictRows(verdict: Snapshot['status']['verdict']): string[] {
  const found = verdict === null || verdict.kind === 'collecting' ? [] : [`  verdict   ${verdict.sentence}`];
  return [...found, ...verdictNotes(verdict).map((note) => `  note      ${note}`)];
}

/** How near the rule is to a verdict: grows with every reading. */
function evidenceRows(verdict: Snapshot['status']['verdict']): string[] {
  return evidenceLines(verdict).map(({ claim, progress, text }) => {
    const filled = Math.round(progress * BAR_WIDTH);
    return `  evidence  ${'▮'.repeat(filled)}${'·'.repeat(BAR_WIDTH - filled)} ${text}: ${claim}`;
  });
}
