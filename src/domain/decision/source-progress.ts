import { formatDuration } from '../duration.ts';
import type { ArmCounts, Block } from './block.ts';
import { sourceBlock, type MetricsReading } from './source-block.ts';

/**
 * A moment at which every gateway executed one route table, and had done so for long enough that what began before has
 * ended.
 */
export interface RouteMoment {
  /** ISO 8601. */
  readonly at: string;
  readonly tableVersion: number;
  /** Version → requests that the gateways had allotted to it by then; absent where one could not be read. */
  readonly allotted?: Readonly<Record<string, number>>;
}

/** Where reading a source stands: plain JSON, handed on from reading to reading. */
export interface SourceProgress {
  /** Everything is counted from here: the first moment at which all gateways executed routes of the trial. */
  readonly since: string;
  /** Null: nothing was read yet. */
  readonly last: MetricsReading | null;
  /** In order; the first is the one up to which `last` counts. Absent in runs that began before it was kept. */
  readonly moments?: readonly RouteMoment[];
  /** Shares that were asked for by the first table: accounts that are dealt anew later were counted before. */
  readonly dealt?: { readonly tableVersion: number; readonly shares: Readonly<Record<string, number>> };
  /** Stretches in which the routes changed: no block is made of them. */
  readonly discarded?: { readonly stretches: number; readonly ms: number };
}

/** What a reading is compared with: requests of the gateways, or the shares by which accounts are dealt. */
export type SourceUnit = 'request' | 'account';

/** Two clocks differ by up to this much, in milliseconds, and a source's moment may be rounded by it. */
const NEAR_MS = 1_000;
const MOST_MOMENTS = 64;

/** The trial's routes are in effect everywhere: a source counts from now on. */
export function beginSource(moment: RouteMoment, shares?: Readonly<Record<string, number>>): SourceProgress {
  const { at: since, tableVersion } = moment;
  const dealt = shares === undefined ? {} : { dealt: { tableVersion, shares } };
  return { since, last: null, moments: [moment], ...dealt };
}

/** One moment more, of which few are kept: where a table's stretch begins and ends, and some between. */
export function withMoment(progress: SourceProgress, moment: RouteMoment): SourceProgress {
  const known = momentsOf(progress);
  const last = known.at(-1);
  if (last !== undefined && msOf(last.at) >= msOf(moment.at)) return progress;
  return { ...progress, moments: thinned([...known, moment]) };
}

/** Without the one between two of the same table that lie closest together: what is left is spread over the time. */
function thinned(moments: readonly RouteMoment[]): readonly RouteMoment[] {
  if (moments.length <= MOST_MOMENTS) return moments;
  let [closest, shortestMs] = [-1, Infinity];
  for (const [index, { tableVersion }] of moments.entries()) {
    const [before, after] = [moments[index - 1], moments[index + 1]];
    if (before?.tableVersion !== tableVersion || after?.tableVersion !== tableVersion) continue;
    const gapMs = msOf(after.at) - msOf(before.at);
    if (gapMs < shortestMs) [closest, shortestMs] = [index, gapMs];
  }
  return moments.filter((_, index) => index !== closest);
}

function momentsOf({ moments, last, since }: SourceProgress): readonly RouteMoment[] {
  // No table has this version: what an earlier program read last may have been read by any.
  return moments ?? [{ at: last?.at ?? since, tableVersion: 0 }];
}

/**
 * Up to when a source is to be read, where it can tell what was counted up to a moment that is past: to the end of each
 * table's stretch, and from the beginning of the next one on. ISO 8601, in order, at most `untilMs`.
 */
export function momentsToRead(progress: SourceProgress, untilMs: number): readonly string[] {
  const [base, ...later] = momentsOf(progress).filter(({ at }) => msOf(at) <= untilMs);
  const tables = [...new Set(later.map(({ tableVersion }) => tableVersion))];
  return tables.flatMap((table) => {
    const own = later.filter(({ tableVersion }) => tableVersion === table).map(({ at }) => msOf(at));
    const end = Math.max(...own);
    // A little later than the first: a source may round down the moment that it is asked for.
    const begin = Math.min(...own) + NEAR_MS;
    const times = table !== base?.tableVersion && begin < end ? [begin, end] : [end];
    return times.map((time) => new Date(time).toISOString());
  });
}

export interface Taken {
  readonly progress: SourceProgress;
  /** None where the routes changed, or where it is not known yet whether they did, or outcomes are waited for. */
  readonly block?: Block;
  /** Why the stretch is read on. */
  readonly waits?: string;
}

/**
 * One reading more: the block since the last one, if one route table was in effect in all of it. Table versions grow
 * strictly, so that the same version at both ends is the same table all the time. A stretch in which the routes changed
 * is left out, and the next one begins with this reading.
 *
 * @throws ChangeoverError `MetricsUnusable` as `sourceBlock` does
 */
export function takeReading(before: SourceProgress, now: MetricsReading, unit: SourceUnit): Taken {
  const moments = momentsOf(before);
  const [base] = moments;
  const here = momentAt(moments, now.at);
  if (base === undefined || here === undefined) return { progress: before };
  const { since, last } = before;
  const { tableVersion } = here;
  const shares = sharesBetween(before, base, here, unit);
  const from = last ?? nothingYet(now, since);
  const stretch = sourceBlock(from, now, {
    since,
    tableVersion,
    ...(shares === undefined ? {} : { shares }),
  });
  const later = moments.filter(({ at }) => msOf(at) > msOf(now.at));
  const progress: SourceProgress = { ...before, last: now, moments: [here, ...later] };
  if (base.tableVersion !== tableVersion) {
    const { stretches = 0, ms = 0 } = before.discarded ?? {};
    const lengthMs = msOf(now.at) - msOf(from.at);
    return { progress: { ...progress, discarded: { stretches: stretches + 1, ms: ms + lengthMs } } };
  }
  return stretch.kind === 'wait'
    ? { progress: before, waits: stretch.reason }
    : { progress, block: stretch.block };
}

/** The moment in which the source counted: between two of the same table, with what was allotted next to it. */
function momentAt(moments: readonly RouteMoment[], at: string): RouteMoment | undefined {
  const distance = (one: RouteMoment): number => Math.abs(msOf(one.at) - msOf(at));
  const before = moments.filter((one) => msOf(one.at) <= msOf(at)).at(-1);
  const after = moments.find((one) => msOf(one.at) >= msOf(at));
  if (before === undefined || before.tableVersion !== after?.tableVersion) return undefined;
  const nearest = distance(before) <= distance(after) ? before : after;
  const { tableVersion, allotted } = nearest;
  return allotted !== undefined && distance(nearest) <= NEAR_MS
    ? { at, tableVersion, allotted }
    : { at, tableVersion };
}

function sharesBetween(
  { dealt }: SourceProgress,
  base: RouteMoment,
  now: RouteMoment,
  unit: SourceUnit,
): Readonly<Record<string, number>> | undefined {
  if (unit === 'account') return dealt?.tableVersion === now.tableVersion ? dealt.shares : undefined;
  if (base.allotted === undefined || now.allotted === undefined) return undefined;
  const grown: (readonly [string, number])[] = [];
  for (const [version, count] of Object.entries(now.allotted)) {
    const more = count - (base.allotted[version] ?? 0);
    if (more > 0) grown.push([version, more]);
  }
  const total = grown.reduce((sum, [, more]) => sum + more, 0);
  return grown.length < 2
    ? undefined
    : Object.fromEntries(grown.map(([version, more]) => [version, more / total]));
}

/** What a person is to know of how a source was read, one sentence each. */
export function remarksOf({ discarded, last }: SourceProgress, waits?: string): readonly string[] {
  const left =
    discarded === undefined
      ? []
      : [
          `Left out: ${discarded.stretches} stretch${discarded.stretches === 1 ? '' : 'es'} of the source, ${formatDuration(discarded.ms)} together, in which the routes changed.`,
        ];
  return [...left, ...(waits === undefined ? [] : [waits]), ...(last?.notes ?? [])];
}

function nothingYet({ arms }: MetricsReading, since: string): MetricsReading {
  const none: Record<string, ArmCounts> = {};
  for (const [version, { squares, uncapped }] of Object.entries(arms)) {
    none[version] = {
      n: 0,
      sum: 0,
      ...(squares === undefined ? {} : { squares: 0 }),
      ...(uncapped === undefined ? {} : { uncapped: 0 }),
    };
  }
  return { at: since, arms: none, notes: [] };
}

function msOf(at: string): number {
  return Date.parse(at);
}
