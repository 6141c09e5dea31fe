import { styleText } from 'node:util';
import { evidenceLines } from '../domain/decision/evidence-lines.ts';
import { formatCount, formatEfficacy } from '../domain/decision/sentence.ts';
import type { ArmEfficacy } from '../domain/decision/decision.ts';
import { formatDuration } from '../domain/duration.ts';
import type { ServerStage } from '../domain/upgrade/state.ts';
import type { EfficacyAnswer, UpgradeStatus } from '../domain/upgrade/status.ts';
import type { GatewaysView } from '../domain/gateway-standing.ts';
import { actionHints } from './action-hints.ts';
import { gatewaysBlock } from './gateways-block.ts';
import { verdictNotes } from './verdict-notes.ts';

/** All that `status` and `watch` show; what could not be had is null. */
export interface Snapshot {
  readonly status: UpgradeStatus;
  readonly efficacy: EfficacyAnswer | null;
  /** As the flow controller says it now. */
  readonly gateways: GatewaysView | null;
}

interface ViewOptions {
  readonly nowMs: number;
  readonly colour: boolean;
}

/** An upgrade at a glance, for a terminal. */
export function statusView(snapshot: Snapshot, options: ViewOptions): string {
  const { status } = snapshot;
  const blocks = [
    head(status, options),
    serversBlock(status),
    routesBlock(snapshot, options),
    efficacyBlock(snapshot.efficacy, status),
    evidenceBlock(status),
    problemsBlock(status, options),
    verdictBlock(status),
    actionHints(status),
  ];
  return blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function head(status: UpgradeStatus, options: ViewOptions): string[] {
  const bold = options.colour ? (text: string) => styleText('bold', text) : (text: string) => text;
  const { service, upgradeId, phase, step, startedAt, outcome, paused, trial } = status;
  const state = outcome === null ? phase : `${phase}: ${outcome}`;
  const lines = [
    `${bold(`${service}: ${state}`)}   ${upgradeId}, since ${startedAt}`,
    ...(outcome === null ? [`step ${step.number}: ${step.what}, for ${ago(step.since, options)}`] : []),
  ];
  if (phase === 'trial') {
    const elapsed = `${formatDuration(trial.stageElapsedMs)} of ${formatDuration(trial.stageLengthMs)}`;
    lines.push(`stage ${trial.stage} of ${trial.stages}: ${elapsed}, readings so far: ${trial.readings}`);
  }
  if (paused !== null) lines.push(`paused by ${paused.by} for ${ago(paused.at, options)}: ${paused.reason}`);
  return lines;
}

function ago(at: string, { nowMs }: ViewOptions): string {
  return formatDuration(Math.max(0, nowMs - Date.parse(at)));
}

/** A line per cluster: how many of its servers are in each stage, and which versions they run. */
function serversBlock({ servers }: UpgradeStatus): string[] {
  const clusters = [...new Set(servers.map((server) => server.cluster))];
  const width = Math.max(0, ...clusters.map((name) => name.length));
  return clusters.map((cluster) => {
    const members = servers.filter((server) => server.cluster === cluster);
    const stages = members.map((server) => server.stage);
    const versions = members.map((server) => `${server.release}${server.uncertain === true ? '?' : ''}`);
    return `  ${cluster.padEnd(width)}  ${gauge(stages)}  ${counted(stages)}  on ${counted(versions)}`;
  });
}

/** `open`, or where they differ `2 open, 1 draining`. */
function counted(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  if (counts.size === 1) return [...counts.keys()].join('');
  return [...counts].map(([value, count]) => `${count} ${value}`).join(', ');
}

const MARK: Readonly<Record<ServerStage, string>> = {
  open: '█',
  opening: '▓',
  closing: '▒',
  draining: '▒',
  drained: '░',
  changing: '◌',
  changed: '◍',
  ready: '●',
  out: '×',
  removed: '×',
};
/** More servers than this are not drawn one by one. */
const MAX_GAUGE = 40;

function gauge(stages: readonly ServerStage[]): string {
  return stages.length > MAX_GAUGE ? '' : stages.map((stage) => MARK[stage]).join('');
}

function routesBlock({ status, gateways }: Snapshot, { nowMs }: ViewOptions): string[] {
  const { mode, version, share, applied } = status.routes;
  const where = mode === 'trial' ? `by the policy, at ${percent(share)} of what it allots` : `to the ${mode}`;
  const line = `  traffic goes ${where}; route table ${version}${applied ? '' : ', being applied'}`;
  // After its end the service has other tables: that which frees its lock, and those of later upgrades.
  const known = status.outcome === null ? (gateways ?? status.gateways) : status.gateways;
  return known === null ? [line] : [line, ...gatewaysBlock(known, nowMs)];
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10} %`;
}

function efficacyBlock(answer: EfficacyAnswer | null, { winner }: UpgradeStatus): string[] {
  if (answer === null || answer.arms.length === 0) return [];
  const width = Math.max(...answer.arms.map((arm) => arm.version.length));
  const mostAllocated = Math.max(...answer.arms.map((arm) => arm.allocated));
  const best = Math.max(...answer.arms.map((arm) => arm.efficacy ?? 0));
  const lines = answer.arms.map((arm) => {
    const traffic = `${bar(arm.allocated, mostAllocated)} ${formatCount(arm.allocated).padStart(10)} allocated`;
    const efficacy = `${bar(arm.efficacy ?? 0, best)} ${efficacyText(arm, answer)}`;
    return `  ${arm.version.padEnd(width)}  ${traffic}   ${efficacy}${armNote(arm, winner)}`;
  });
  return [`  efficacy by ${answer.volume}:`, ...lines];
}

function efficacyText({ efficacy }: ArmEfficacy, { volume }: EfficacyAnswer): string {
  return efficacy === null ? 'no data' : formatEfficacy(efficacy, volume);
}

function armNote({ version, role, pulled }: ArmEfficacy, winner: string | null): string {
  if (pulled !== undefined) return `  pulled: ${pulled}`;
  if (version === winner) return '  winner';
  return role === 'baseline' ? '  baseline' : '';
}

const BAR_WIDTH = 12;

function bar(value: number, most: number): string {
  const filled = most <= 0 ? 0 : Math.round((Math.max(0, value) / most) * BAR_WIDTH);
  return '█'.repeat(filled).padEnd(BAR_WIDTH, '·');
}

function evidenceBlock({ verdict }: UpgradeStatus): string[] {
  const lines = evidenceLines(verdict);
  if (lines.length === 0) return [];
  const width = Math.max(...lines.map(({ claim }) => claim.length));
  return [
    '  evidence that',
    ...lines.map(({ claim, progress, text }) => `  ${claim.padEnd(width)}  ${bar(progress, 1)} ${text}`),
  ];
}

function problemsBlock({ problems }: UpgradeStatus, options: ViewOptions): string[] {
  const red = options.colour ? (text: string) => styleText('red', text) : (text: string) => text;
  return problems.map(({ where, code, message, since }) =>
    red(`  ! ${where}, for ${ago(since, options)}: ${message} (${code})`),
  );
}

function verdictBlock({ verdict, approval, aborted }: UpgradeStatus): string[] {
  return [
    ...(verdict === null ? [] : [`  ${verdict.sentence}`]),
    ...verdictNotes(verdict).map((note) => `  · ${note}`),
    ...(approval === null
      ? []
      : [`  ${approval.candidate} was approved by ${approval.by} at ${approval.at}`]),
    ...(aborted === null ? [] : [`  aborted by ${aborted.by} at ${aborted.at}: ${aborted.reason}`]),
  ];
}
