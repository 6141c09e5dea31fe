import { expectedShares } from '../domain/decision/expected-shares.ts';
import type { RuleProgress } from '../domain/decision/rule-reading.ts';
import { controlOf, type RuleSpec } from '../domain/decision/rule-spec.ts';
import type { MetricsReading } from '../domain/decision/source-block.ts';
import {
  beginSource,
  momentsToRead,
  remarksOf,
  takeReading,
  withMoment,
  type RouteMoment,
  type SourceProgress,
} from '../domain/decision/source-progress.ts';
import type { SourcePlan } from '../domain/plan/source-schema.ts';
import { isAllotted } from '../domain/policy/allotment.ts';
import type { ReadingResult } from '../domain/upgrade/results.ts';
import type { TrafficAnswer } from '../protocol/controller.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** Reads a plan's source between changes of the routes, so that a block is of one route table. */
export interface OpenSource {
  /** How far what it can tell lags behind, in milliseconds; null: it tells what is counted now. */
  readonly delayMs: number | null;
  /** What the gateways say now, asked every second: when routes changed, and when the change was complete. */
  note(traffic: TrafficAnswer): Promise<void>;
  /** Reads the source up to now, or to what is settled. @throws ChangeoverError `MetricsUnusable` */
  read(): Promise<void>;
  found(): {
    readonly blocks: NonNullable<ReadingResult['decision']>['blocks'];
    readonly progress: SourceProgress | undefined;
    readonly remarks: readonly string[];
    /** Every gateway has executed routes of the trial. */
    readonly isBegun: boolean;
  };
}

interface SourceInput {
  readonly service: string;
  readonly spec: RuleSpec;
  readonly source: SourcePlan;
  readonly progress: RuleProgress;
  readonly lateMs?: number;
}

/** What plans say by default: an outcome that comes later is none. */
const LATE_MS = 10_000;

export function openSource(
  deps: Pick<ActivityDependencies, 'registry' | 'observatory' | 'metrics'>,
  input: SourceInput,
  signal: AbortSignal,
): OpenSource {
  const { service, spec, lateMs = LATE_MS } = input;
  const { delayMs } = sourceIn(deps.metrics, input);
  const blocks: NonNullable<ReadingResult['decision']>['blocks'][number][] = [];
  let progress = input.progress.source;
  let latest: RouteMoment | undefined;
  /** Table that every gateway is known to execute for long enough. */
  let steady: number | undefined;
  let waits: string | undefined;

  /** None while a change of the routes is not complete. */
  async function momentOf(traffic: TrafficAnswer): Promise<RouteMoment | undefined> {
    const { at, tableVersion, unread } = traffic;
    if (tableVersion !== steady) {
      const { active, activeSince, gateways } = await deps.registry.status(service);
      const counted = gateways.filter(({ excluded }) => excluded === undefined);
      const isEverywhere = counted.every(({ acknowledged }) => acknowledged >= tableVersion);
      if (active.version !== tableVersion || active.split === null || !isEverywhere) return undefined;
      const times = [activeSince, ...counted.map(({ acknowledgedAt }) => acknowledgedAt)];
      const changedMs = Math.max(0, ...times.flatMap((time) => (time == null ? [] : [Date.parse(time)])));
      if (Date.parse(at) < changedMs + lateMs) return undefined;
      steady = tableVersion;
      const control = controlOf(spec) !== undefined;
      // By what is looked up, many accounts are dealt together.
      const isOneByOne = active.split.key.lookup === undefined;
      const shares = isOneByOne ? expectedShares(active.split, { unit: spec.unit, control }) : undefined;
      progress ??= beginSource({ at, tableVersion, ...allottedIn(traffic, spec) }, shares);
    }
    return { at, tableVersion, ...(unread.length > 0 ? {} : allottedIn(traffic, spec)) };
  }

  async function readTo(until: string): Promise<MetricsReading | undefined> {
    if (progress === undefined) return undefined;
    return readSource(deps.metrics, input, { since: progress.since, until }, signal);
  }

  function take(reading: MetricsReading | undefined): void {
    if (progress === undefined || reading === undefined) return;
    const taken = takeReading(progress, reading, spec.unit);
    progress = taken.progress;
    waits = taken.waits;
    if (taken.block === undefined) return;
    blocks.push({ ...taken.block, number: input.progress.after + blocks.length + 1 });
  }

  function keep(moment: RouteMoment | undefined): void {
    if (progress !== undefined && moment !== undefined) progress = withMoment(progress, moment);
  }

  /** Such a source tells nothing of the past: it is read between two moments of the same table. */
  async function readNow(): Promise<void> {
    const reading = await readTo(new Date().toISOString());
    keep(await momentOf(await deps.observatory.traffic(service)));
    take(reading);
  }

  /** One stretch after the other; says why the last one could not be read. */
  async function readEach(times: readonly number[]): Promise<Error | undefined> {
    let failure: Error | undefined;
    for (const time of times) {
      failure = undefined;
      const read = readTo(new Date(time).toISOString());
      await read.then(take).catch((error: unknown) => {
        signal.throwIfAborted();
        failure = error instanceof Error ? error : new Error(String(error));
      });
    }
    return failure;
  }

  return {
    delayMs,

    async note(traffic) {
      const moment = await momentOf(traffic);
      if (moment === undefined || progress === undefined) return;
      const isNew = moment.tableVersion !== latest?.tableVersion;
      // What the last table's stretch ends with, and the next one begins.
      if (isNew) keep(latest);
      if (isNew) keep(moment);
      latest = moment;
      const isAfterChange = isNew && progress.moments?.[0]?.tableVersion !== moment.tableVersion;
      if (isAfterChange && delayMs === null) await readNow();
    },

    async read() {
      keep(latest);
      if (progress === undefined) return;
      if (delayMs === null) return readNow();
      const times = momentsToRead(progress, Date.now() - delayMs).map((at) => Date.parse(at) + delayMs);
      const [first] = progress.moments ?? [];
      // No moment that was kept is past by so much: between two of them it can tell all the same.
      const isPast = first !== undefined && Date.parse(first.at) < Date.now() - delayMs;
      const failure = await readEach(times.length === 0 && isPast ? [Date.now()] : times);
      // What it cannot say of that moment, where it was away then, it may say of a later one.
      const still = failure === undefined ? undefined : await readEach([Date.now()]);
      if (still !== undefined) throw still;
    },

    found: () => ({
      blocks,
      progress,
      remarks: progress === undefined ? [] : remarksOf(progress, waits),
      isBegun: progress !== undefined,
    }),
  };
}

/** What the source counts of every arm in this span. @throws ChangeoverError `MetricsUnusable` */
export function readSource(
  metrics: ActivityDependencies['metrics'],
  input: Pick<SourceInput, 'source' | 'spec'>,
  span: { readonly since: string; readonly until: string },
  signal: AbortSignal,
): Promise<MetricsReading> {
  const arms = input.spec.arms.map(({ version }) => version);
  return sourceIn(metrics, input).read({ arms, ...span }, { signal });
}

function sourceIn(
  metrics: ActivityDependencies['metrics'],
  { source, spec }: Pick<SourceInput, 'source' | 'spec'>,
): ReturnType<ActivityDependencies['metrics']> {
  return metrics(source, { kind: spec.volume, cap: spec.cap });
}

/** Requests by version that the policy sent there, as the gateways count them. */
function allottedIn({ counts }: TrafficAnswer, { arms, unit }: RuleSpec): Pick<RouteMoment, 'allotted'> {
  // Accounts are compared with the shares by which they are dealt.
  if (unit === 'account') return {};
  const allotted: Record<string, number> = {};
  for (const { version } of arms) allotted[version] = 0;
  for (const { release, bucket, allocated } of counts) {
    const before = allotted[release];
    if (before !== undefined && isAllotted(bucket)) allotted[release] = before + allocated;
  }
  return { allotted };
}
