import type { ArmEvidence, DecisionRule } from '../domain/decision/decision.ts';
import { evidenceOf } from '../domain/decision/evidence.ts';
import { judge } from '../domain/decision/judge.ts';
import { RULES_VERSION } from '../domain/decision/rule.ts';
import { readBlocks, stateOfTotals, type RuleProgress } from '../domain/decision/rule-reading.ts';
import type { RuleSpec } from '../domain/decision/rule-spec.ts';
import { NO_BLOCKS } from '../domain/decision/rule-state.ts';
import { bendsSplit, movedRemark, uncheckedWhereMoved } from '../domain/decision/moved.ts';
import type { SourcePlan } from '../domain/plan/source-schema.ts';
import type { ReadingResult } from '../domain/upgrade/results.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { TrafficAnswer } from '../protocol/controller.ts';
import { attempt, type Attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { totalsFor } from './reading-totals.ts';
import { openSource, type OpenSource } from './source-reading.ts';

export interface CollectMetricsInput extends StepContext {
  /** Until the next reading, in milliseconds; a guardrail that fires ends the wait. */
  readonly waitMs: number;
  /** Counters when the trial began; null: this reading is the base. */
  readonly base: ReadingResult['totals'] | null;
  readonly versions: readonly { readonly version: string; readonly role: ArmEvidence['role'] }[];
  /** Pulled so far, with the reason. */
  readonly pulled: Readonly<Record<string, string>>;
  readonly spec: RuleSpec;
  /** Salt of the split, by which gateways and controller know the trial. */
  readonly trial: string;
  /** Length of the trial before this reading, in milliseconds. */
  readonly elapsedMs: number;
  readonly progress: RuleProgress;
  /** Versions that are beaten, and whose traffic the routes have taken away. Absent: nobody knows. */
  readonly out?: readonly string[];
  /** Where units and outcomes are read, and since when they count. */
  readonly source: SourcePlan;
  readonly since: string;
  /** What the reading before this one found since the base: a source's counters never fall. Absent: nobody knows. */
  readonly last?: readonly ArmEvidence[];
  /** How long after a change of the routes what began before may still come to its end, in milliseconds. */
  readonly lateMs?: number;
  /** A verdict is due when the wait is over. */
  readonly final: boolean;
  /** The trial is over: a verdict is due at once where a guardrail changed who is left. */
  readonly ended?: boolean;
}

/** Scheduled by a workflow from before plans named a rule, and under way while the worker was replaced. */
type EarlierInput = Omit<
  CollectMetricsInput,
  'spec' | 'trial' | 'elapsedMs' | 'progress' | 'source' | 'since'
> & {
  readonly rule: DecisionRule;
};

function ofToday(input: EarlierInput): CollectMetricsInput {
  const { rule, versions } = input;
  const arms = versions.filter(({ role }) => role === 'candidate' || rule.beatBaseline);
  const { volume, minSamples } = rule;
  return {
    ...input,
    spec: { rule: 'max-efficacy', arms, volume, minSamples, comparison: 'random', unit: 'request' },
    trial: input.upgradeId,
    elapsedMs: 0,
    progress: { state: NO_BLOCKS, after: 0 },
    source: { from: 'gateways' },
    since: new Date(0).toISOString(),
  };
}

type CollectDependencies = Pick<ActivityDependencies, 'registry' | 'observatory' | 'metrics'>;

/** How often the observatory is asked whether a guardrail fired, in milliseconds. */
const POLL_MS = 1000;

/**
 * Waits for the next reading, inside the activity so that the history stays small, and measures efficacy since the
 * trial began. Returns at once when a guardrail pulled a candidate. The verdict is computed here, not in the workflow:
 * what decides the next step is thereby recorded with the numbers it was made on (invariant 8).
 */
export function collectMetrics(deps: CollectDependencies) {
  return (scheduled: CollectMetricsInput | EarlierInput): Promise<ReadingResult> =>
    attempt(scheduled.step, async (present) => {
      const input = 'spec' in scheduled ? scheduled : ofToday(scheduled);
      const source = isReadInBlocks(input) ? openSource(deps, input, present.signal) : undefined;
      for (;;) {
        const elapsedMs = Date.now() - present.startedAtMs;
        const leftMs = input.waitMs - elapsedMs;
        const traffic = await readTraffic(deps.observatory, input.service, present);
        const pulls = pullsOf(traffic, input);
        if (pulls.length === 0) await source?.note(traffic);
        // A pull is told at once, whoever else cannot be read.
        const isDue = leftMs <= 0;
        if (pulls.length > 0 || isDue) {
          if (isDue && pulls.length === 0) assertComplete(traffic.unread, input);
          return read(deps, input, {
            traffic,
            pulls,
            isDue,
            elapsedMs: Math.max(0, elapsedMs),
            signal: present.signal,
            source,
          });
        }
        await present.sleep(Math.min(POLL_MS, leftMs));
      }
    });
}

/** The greatest efficacy needs no more than the ordinary counters, but where it compares amounts capped one by one. */
function goesByTotals({ spec, source }: CollectMetricsInput): boolean {
  return spec.rule === 'max-efficacy' && (source.from !== 'gateways' || spec.comparesCapped !== true);
}

/** The base has no blocks yet, and the greatest efficacy goes by totals. */
function isReadInBlocks({ base, source, spec }: CollectMetricsInput): boolean {
  return base !== null && source.from !== 'gateways' && spec.rule !== 'max-efficacy';
}

/** A controller that is away makes a reading late, never empty. */
async function readTraffic(
  observatory: ActivityDependencies['observatory'],
  service: string,
  present: Attempt,
): Promise<TrafficAnswer> {
  try {
    const traffic = await observatory.traffic(service);
    await present.tell(
      traffic.unread.map((gateway) => ({
        where: `gateway ${gateway}`,
        code: 'GatewayUnreachable',
        message: 'its counters could not be read; the last known ones are used',
      })),
    );
    return traffic;
  } catch (error) {
    if (error instanceof ChangeoverError && error.code === 'ControllerUnreachable') {
      await present.tell([{ where: 'flow controller', code: error.code, message: error.message }]);
    }
    throw error;
  }
}

/** Neither the base nor a decision rests on old counters. */
function assertComplete(unread: readonly string[], { base, final }: CollectMetricsInput): void {
  if (unread.length === 0 || (base !== null && !final)) return;
  throw new ChangeoverError(
    'GatewayUnreachable',
    `Nothing is decided without the counters of ${unread.join(', ')}.`,
  );
}

function pullsOf(traffic: TrafficAnswer, { versions, pulled }: CollectMetricsInput): ReadingResult['pulls'] {
  return traffic.pulls
    .filter(
      ({ release }) => versions.some(({ version }) => version === release) && !Object.hasOwn(pulled, release),
    )
    .map(({ release, reason, at }) => ({ release, reason, at }));
}

interface Observed {
  readonly traffic: TrafficAnswer;
  readonly pulls: ReadingResult['pulls'];
  /** The wait is over; otherwise a pull ended it. */
  readonly isDue: boolean;
  readonly elapsedMs: number;
  readonly signal: AbortSignal;
  readonly source: OpenSource | undefined;
}

async function read(
  deps: CollectDependencies,
  input: CollectMetricsInput,
  { traffic, pulls, isDue, elapsedMs, signal, source }: Observed,
): Promise<ReadingResult> {
  const { base, versions, spec, progress, ended } = input;
  const totals = await totalsFor(deps, input, { traffic, isPull: pulls.length > 0, signal });
  // A pull within the last stretch of the trial does not end it. (Without `ended`: scheduled by an earlier version.)
  const final = input.final && (isDue || ended !== false);
  const { incident, notices } = traffic;
  const found = {
    at: traffic.at,
    elapsedMs,
    totals,
    pulls,
    ...(incident === undefined ? {} : { incident }),
    ...(notices === undefined ? {} : { notices }),
  };
  if (base === null) return { ...found, arms: [], verdict: null, pulls: [] };
  const pulled: Record<string, string> = { ...input.pulled };
  for (const { release, reason } of pulls) pulled[release] = reason;
  const arms = evidenceOf({ versions, base, totals, pulled });
  const names = versions.map(({ version }) => version);
  const moved = movedRemark(names, base, totals);
  const lengthMs = input.elapsedMs + elapsedMs;
  if (goesByTotals(input)) {
    const isOver = final && traffic.unread.length === 0;
    const verdict = judge(spec, stateOfTotals(spec, arms, lengthMs), isOver, moved);
    return { ...found, arms, verdict, rulesVersion: RULES_VERSION, ...noted(moved) };
  }
  const fresh = await freshBlocks(deps, input, { isPull: pulls.length > 0, source });
  // Accounts that came while a version was out were turned away as well.
  const isBack = Object.keys(progress.state.returned ?? {}).length > 0;
  const blocks = uncheckedWhereMoved(spec, fresh.blocks, bendsSplit(names, base, totals) || isBack);
  const remarks = [...fresh.remarks, ...moved];
  const { tableVersion } = traffic;
  // While the environment is ill, or the operator is awaited, the trial's clock stands still.
  const passedMs = incident !== undefined || ended === true ? 0 : elapsedMs;
  const clockMs = Math.max(0, input.elapsedMs + passedMs - (source?.delayMs ?? 0));
  const next = readBlocks(spec, progress, {
    ...{ blocks, pulled, remarks, clockMs, isOver: final && fresh.isComplete },
    ...(input.out === undefined ? {} : { routes: { tableVersion, out: input.out } }),
  });
  const decision = { ...next.progress, ...fresh.progress, blocks };
  const goesOn = ended === true && !final && next.verdict.kind === 'collecting';
  return {
    ...{
      ...found,
      clockMs,
      tableVersion,
      arms,
      verdict: next.verdict,
      rulesVersion: RULES_VERSION,
      decision,
    },
    ...(goesOn ? { goesOn } : {}),
    ...noted(remarks),
  };
}

function noted(remarks: readonly string[]): Pick<ReadingResult, 'remarks'> {
  return remarks.length === 0 ? {} : { remarks };
}

interface FreshBlocks {
  readonly blocks: NonNullable<ReadingResult['decision']>['blocks'];
  /** Nobody's counters are missing. */
  readonly isComplete: boolean;
  readonly progress: Pick<RuleProgress, 'source'>;
  readonly remarks: readonly string[];
}

async function freshBlocks(
  { observatory }: Pick<ActivityDependencies, 'observatory'>,
  { service, trial, progress }: CollectMetricsInput,
  { isPull, source }: { readonly isPull: boolean; readonly source: OpenSource | undefined },
): Promise<FreshBlocks> {
  if (source === undefined) {
    const { blocks, unread } = await observatory.blocks(service, { trial, after: progress.after });
    return { blocks, isComplete: unread.length === 0, progress: {}, remarks: [] };
  }
  try {
    await source.read();
  } catch (error) {
    // That a candidate was pulled is told whatever the source says.
    if (!isPull) throw error;
  }
  const { blocks, remarks, isBegun, progress: now } = source.found();
  const isComplete = isBegun && !isPull;
  return { blocks, isComplete, progress: now === undefined ? {} : { source: now }, remarks };
}
