import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import { newEntries } from '../../src/cli/change-lines.ts';
import { newNotes } from '../../src/cli/verdict-notes.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Display } from './display.ts';
import { clock } from './paint.ts';
import { drainingText, trafficText } from './texts.ts';

/** So often a line says how the traffic fares although nothing else changes. */
const TRAFFIC_EVERY_MS = 5_000;

/** One line per change, with the time since the start. */
export function createLineDisplay(stream: NodeJS.WritableStream): Display {
  const beganAt = Date.now();
  let before: Snapshot | undefined;
  let trafficShownAt = -Infinity;

  const print = (at: number, text: string): void => {
    const time = clock(Math.max(0, at - beganAt)).padStart(7);
    for (const line of text.split('\n')) stream.write(`${time}  ${line}\n`);
  };
  const say = (sentence: string): void => print(Date.now(), sentence);
  return {
    say,
    show: (snapshot) => {
      for (const { at, phase, what, by } of newEntries(before?.timeline ?? [], snapshot.timeline)) {
        print(Date.parse(at), `${phase}: ${what}${by === undefined ? '' : ` (${by})`}`);
      }
      changes(before, snapshot).forEach(say);
      before = snapshot;
      const now = performance.now();
      if (snapshot.load === null || now - trafficShownAt < TRAFFIC_EVERY_MS) return;
      trafficShownAt = now;
      say(`traffic: ${trafficText(snapshot.load)}`);
    },
    end: () => undefined,
  };
}

function changes(before: Snapshot | undefined, after: Snapshot): string[] {
  return [
    ...drainingChange(before, after),
    ...serverChanges(before?.status, after.status),
    ...readingChange(before, after),
    ...problemChanges(before?.status, after.status),
  ];
}

function drainingChange(before: Snapshot | undefined, { draining }: Snapshot): string[] {
  const isNew = JSON.stringify(before?.draining) !== JSON.stringify(draining);
  return draining === null || !isNew ? [] : [`drain: ${drainingText(draining)}`];
}

/** Servers that went the same way stand in one line. */
function serverChanges(before: UpgradeStatus | undefined, after: UpgradeStatus): string[] {
  if (before === undefined) return [];
  const known = new Map(before.servers.map((server) => [server.name, server]));
  const moved = new Map<string, string[]>();
  for (const { name, stage, release } of after.servers) {
    const was = known.get(name);
    if (was === undefined || (was.stage === stage && was.release === release)) continue;
    const versions = was.release === release ? `on ${release}` : `${was.release} → ${release}`;
    const change = was.stage === stage ? versions : `${was.stage} → ${stage}, ${versions}`;
    moved.set(change, [...(moved.get(change) ?? []), name]);
  }
  return [...moved].map(([change, names]) => `${names.join(' ')}: ${change}`);
}

function readingChange(before: Snapshot | undefined, { efficacy, status }: Snapshot): string[] {
  if (efficacy.readings === 0 || before?.efficacy.readings === efficacy.readings) return [];
  const notes = newNotes(before?.status.verdict ?? null, status.verdict).map((note) => `note: ${note}`);
  // A verdict stands in the timeline.
  if (status.verdict?.kind !== 'collecting') return notes;
  const { stage, stages } = status.trial;
  return [`reading ${efficacy.readings}, stage ${stage} of ${stages}: ${efficacy.sentence}`, ...notes];
}

function problemChanges(before: UpgradeStatus | undefined, after: UpgradeStatus): string[] {
  const text = ({ where, message }: UpgradeStatus['problems'][number]): string => `${where}: ${message}`;
  const old = new Set((before?.problems ?? []).map(text));
  return after.problems
    .map(text)
    .filter((problem) => !old.has(problem))
    .map((problem) => `problem: ${problem}`);
}
