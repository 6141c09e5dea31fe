import { assess } from '../domain/decision/assess.ts';
import type { ArmEvidence, DecisionRule } from '../domain/decision/decision.ts';
import { evidenceOf } from '../domain/decision/evidence.ts';
import type { ReadingResult } from '../domain/upgrade/results.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { TrafficAnswer } from '../protocol/controller.ts';
import { attempt, type Attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

export interface CollectMetricsInput extends StepContext {
  /** Until the next reading, in milliseconds; a guardrail that fires ends the wait. */
  readonly waitMs: number;
  /** Counters when the trial began; null: this reading is the base. */
  readonly base: ReadingResult['totals'] | null;
  readonly versions: readonly { readonly version: string; readonly role: ArmEvidence['role'] }[];
  /** Pulled so far, with the reason. */
  readonly pulled: Readonly<Record<string, string>>;
  readonly rule: DecisionRule;
  /** A verdict is due. */
  readonly final: boolean;
}

/** How often the observatory is asked whether a guardrail fired, in milliseconds. */
const POLL_MS = 1000;

/**
 * Waits for the next reading, inside the activity so that the history stays small, and measures efficacy since the
 * trial began. Returns at once when a guardrail pulled a candidate. The verdict is computed here, not in the workflow:
 * what decides the next step is thereby recorded with the numbers it was made on (invariant 8).
 */
export function collectMetrics({ observatory }: Pick<ActivityDependencies, 'observatory'>) {
  return (input: CollectMetricsInput): Promise<ReadingResult> =>
    attempt(input.step, async (present) => {
      for (;;) {
        const elapsedMs = Date.now() - present.startedAtMs;
        const leftMs = input.waitMs - elapsedMs;
        const traffic = await readTraffic(observatory, input, present);
        const pulls = pullsOf(traffic, input);
        if (leftMs <= 0 || pulls.length > 0) return reading(traffic, pulls, input, Math.max(0, elapsedMs));
        await present.sleep(Math.min(POLL_MS, leftMs));
      }
    });
}

/** A controller that is away makes a reading late, never empty. */
async function readTraffic(
  observatory: ActivityDependencies['observatory'],
  { service, final }: CollectMetricsInput,
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
    if (final && traffic.unread.length > 0) {
      throw new ChangeoverError(
        'GatewayUnreachable',
        `No decision without the counters of ${traffic.unread.join(', ')}.`,
      );
    }
    return traffic;
  } catch (error) {
    if (error instanceof ChangeoverError && error.code === 'ControllerUnreachable') {
      await present.tell([{ where: 'flow controller', code: error.code, message: error.message }]);
    }
    throw error;
  }
}

function pullsOf(traffic: TrafficAnswer, { versions, pulled }: CollectMetricsInput): ReadingResult['pulls'] {
  return traffic.pulls
    .filter(
      ({ release }) => versions.some(({ version }) => version === release) && !Object.hasOwn(pulled, release),
    )
    .map(({ release, reason, at }) => ({ release, reason, at }));
}

function reading(
  traffic: TrafficAnswer,
  pulls: ReadingResult['pulls'],
  { base, versions, pulled, rule, final }: CollectMetricsInput,
  elapsedMs: number,
): ReadingResult {
  const totals: Record<string, { allocated: number; volume: number }> = {};
  for (const { version } of versions) totals[version] = { allocated: 0, volume: 0 };
  for (const row of traffic.counts) {
    const total = totals[row.release];
    if (total === undefined) continue;
    total.allocated += row.allocated;
    total.volume += rule.volume === 'amount' ? row.volumeAmount : row.volumeCount;
  }
  if (base === null) return { at: traffic.at, elapsedMs, totals, arms: [], verdict: null, pulls: [] };
  const reasons: Record<string, string> = { ...pulled };
  for (const { release, reason } of pulls) reasons[release] = reason;
  const arms = evidenceOf({ versions, base, totals, pulled: reasons });
  const verdict = assess(rule, arms, final ? 'end' : 'during');
  return { at: traffic.at, elapsedMs, totals, arms, verdict, pulls };
}
