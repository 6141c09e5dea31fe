import type { GatewayStanding } from '../domain/gateway-standing.ts';
import type { TimelineEntry } from '../domain/upgrade/state.ts';
import type { Snapshot } from './status-view.ts';
import { newNotes } from './verdict-notes.ts';

/** A snapshot with the timeline, which tells the story; the rest is compared. */
export interface WatchedState extends Snapshot {
  readonly timeline: readonly TimelineEntry[];
}

/** What changed between two looks at an upgrade, one line each; all of it at the first look. */
export function changeLines(before: WatchedState | undefined, after: WatchedState, at: string): string[] {
  const told = newEntries(before?.timeline ?? [], after.timeline).map(
    (entry) => `${entry.at} ${entry.phase}: ${entry.what}${entry.by === undefined ? '' : ` (${entry.by})`}`,
  );
  const seen = [
    ...serverChanges(before, after),
    ...gatewayChanges(before, after),
    ...readingChange(before, after),
    ...problemChanges(before, after),
  ];
  return [...told, ...seen.map((line) => `${at} ${after.status.phase}: ${line}`)];
}

/** Entries after the last one known; the oldest are dropped from a long timeline, so positions say nothing. */
export function newEntries(
  before: readonly TimelineEntry[],
  after: readonly TimelineEntry[],
): readonly TimelineEntry[] {
  const last = before.at(-1);
  if (last === undefined) return after;
  const known = JSON.stringify(last);
  return after.slice(after.findLastIndex((entry) => JSON.stringify(entry) === known) + 1);
}

function serverChanges(before: WatchedState | undefined, { status }: WatchedState): string[] {
  if (before === undefined) return [];
  const known = new Map(before.status.servers.map((server) => [server.name, server]));
  return status.servers.flatMap(({ name, stage, release }) => {
    const was = known.get(name);
    if (was === undefined || (was.stage === stage && was.release === release)) return [];
    const version = was.release === release ? `on ${release}` : `${was.release} → ${release}`;
    return [`server ${name}: ${was.stage} → ${stage}, ${version}`];
  });
}

/** Those who took the wanted table without trouble share a line: with fifty gateways each change would be fifty. */
function gatewayChanges(before: WatchedState | undefined, { gateways }: WatchedState): string[] {
  if (gateways === null) return [];
  const known = new Map((before?.gateways?.list ?? []).map((gateway) => [gateway.name, gateway]));
  const news = gateways.list.filter(({ name, acknowledged, problem, excluded }) => {
    const was = known.get(name);
    const same = was?.acknowledged === acknowledged && was.problem === problem;
    return !same || was.excluded?.at !== excluded?.at;
  });
  const isFine = (one: GatewayStanding) =>
    one.acknowledged >= gateways.wanted && one.problem === null && one.excluded === undefined;
  const fine = news.filter(isFine).map(({ name }) => name);
  const who = fine.length > 6 ? `${fine.length} gateways` : `gateway ${fine.join(', ')}`;
  return [
    ...(fine.length === 0 ? [] : [`${who}: route table ${gateways.wanted}`]),
    ...news.filter((one) => !isFine(one)).map(troubleOf),
  ];
}

function troubleOf({ name, acknowledged, problem, excluded }: GatewayStanding): string {
  const why = problem === null ? '' : `, ${problem}`;
  const gone = excluded === undefined ? '' : `, declared gone by ${excluded.by}`;
  return `gateway ${name}: route table ${acknowledged}${why}${gone}`;
}

function readingChange(before: WatchedState | undefined, { efficacy, status }: WatchedState): string[] {
  if (efficacy === null || efficacy.readings === 0) return [];
  if (before?.efficacy?.readings === efficacy.readings) return [];
  const { stage, stages } = status.trial;
  return [
    `reading ${efficacy.readings}, stage ${stage} of ${stages}: ${efficacy.sentence}`,
    ...newNotes(before?.status.verdict ?? null, status.verdict).map((note) => `note: ${note}`),
  ];
}

function problemChanges(before: WatchedState | undefined, { status }: WatchedState): string[] {
  const text = ({ where, message }: { where: string; message: string }) => `${where}: ${message}`;
  const old = new Set((before?.status.problems ?? []).map(text));
  const now = new Set(status.problems.map(text));
  return [
    ...[...now].filter((problem) => !old.has(problem)).map((problem) => `problem: ${problem}`),
    ...[...old].filter((problem) => !now.has(problem)).map((problem) => `mended: ${problem}`),
  ];
}
