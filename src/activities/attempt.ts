import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { ChangeoverError } from '../domain/errors.ts';
import type { GatewaysView } from '../domain/gateway-standing.ts';
import type { ProblemsPayload } from '../domain/upgrade/signals.ts';
import type { Problem } from '../domain/upgrade/state.ts';

/** What every activity that belongs to a step is told. */
export interface StepContext {
  readonly service: string;
  readonly upgradeId: string;
  /** Fencing token of the service's lock. */
  readonly fence: number;
  /** Number of the step: the same in every attempt of it. */
  readonly step: number;
}

/** What an attempt leaves to the next one, in its heartbeats: where it stood. */
interface Memory {
  readonly startedAtMs: number;
  readonly problems: readonly Problem[];
  /** Servers that are done. */
  readonly done: readonly string[];
  /** Automatic tries by server. */
  readonly tries: Readonly<Record<string, number>>;
}

/** Heartbeats at this pace; the worker sends them on at once (see its throttle), so that a cancellation is seen soon. */
const HEARTBEAT_MS = 1000;

/** A cancelled attempt waits so long for a call that is under way: longer than the calls of our ports take. */
const LAST_EFFECT_MS = 10_000;

/** Who is to be looked at; whatever else fails is the worker's. */
const PLACES: Readonly<Record<string, string>> = {
  ControllerUnreachable: 'flow controller',
  MetricsUnusable: 'metrics source',
};

/** Name of the internal signal by which activities tell their run what is wrong; sent only when that changes. */
const PROBLEMS_SIGNAL = 'problems';

/**
 * One attempt of a step's activity: heartbeats, goes on from where the last attempt stood, and tells the run what an
 * operator could mend.
 */
export class Attempt {
  readonly signal: AbortSignal;
  private readonly context: Context;
  private readonly step: number;
  private memory: Memory;

  constructor(step: number) {
    this.context = Context.current();
    this.signal = this.context.cancellationSignal;
    this.step = step;
    const left: unknown = this.context.info.heartbeatDetails;
    this.memory = isMemory(left) ? left : { startedAtMs: Date.now(), problems: [], done: [], tries: {} };
  }

  /** When the first attempt began, in milliseconds since the epoch. */
  get startedAtMs(): number {
    return this.memory.startedAtMs;
  }

  /** An attempt before this one ended without the step being done. */
  get isRepetition(): boolean {
    return this.context.info.attempt > 1;
  }

  isDone(server: string): boolean {
    return this.memory.done.includes(server);
  }

  markDone(server: string): void {
    if (!this.isDone(server)) this.remember({ done: [...this.memory.done, server] });
  }

  triesOf(server: string): number {
    return this.memory.tries[server] ?? 0;
  }

  countTry(server: string): void {
    this.atLeastTries(server, this.triesOf(server) + 1);
  }

  atLeastTries(server: string, tries: number): void {
    if (tries > this.triesOf(server)) this.remember({ tries: { ...this.memory.tries, [server]: tries } });
  }

  heartbeat(): void {
    this.context.heartbeat(this.memory);
  }

  /** Waits; rejects as soon as the activity is cancelled. */
  sleep(durationMs: number): Promise<void> {
    return this.context.sleep(durationMs);
  }

  /** What the run was told of a place that is not known to be mended yet. */
  problemAt(where: string): Problem | undefined {
    return this.memory.problems.find((problem) => problem.where === where);
  }

  /** A failure that Temporal will retry; where the attempt told what is wrong already, nothing is added. */
  async tellFailure(error: unknown): Promise<void> {
    if (this.signal.aborted || this.memory.problems.length > 0) return;
    const code = error instanceof ChangeoverError ? error.code : 'Internal';
    const where = PLACES[code] ?? 'worker';
    await this.tell([{ where, code, message: error instanceof Error ? error.message : String(error) }]);
  }

  /** Calls `act` for every item, at most `limit` at a time; results in the order of the items. Stops when cancelled. */
  async each<T, R>(items: readonly T[], limit: number, act: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    let next = 0;
    const lane = async () => {
      for (let index = next++; index < items.length; index = next++) {
        if (this.signal.aborted) await this.context.cancelled;
        const item = items[index];
        if (item !== undefined) results[index] = await act(item);
      }
    };
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
    return results;
  }

  /**
   * Tells the run what is wrong now, and where gateways lag behind how all of them stand; what was wrong before keeps its
   * time. Nothing is sent where nothing changed.
   */
  async tell(found: readonly Omit<Problem, 'since'>[], gateways?: GatewaysView): Promise<void> {
    const now = new Date().toISOString();
    const problems = found.map((problem) => {
      const before = this.memory.problems.find(
        (one) => one.where === problem.where && one.code === problem.code,
      );
      return { ...problem, since: before?.since ?? now };
    });
    const key = (list: readonly Problem[]) => JSON.stringify(list.map(({ where, code }) => [where, code]));
    if (key(problems) === key(this.memory.problems)) return;
    const { workflowExecution } = this.context.info;
    if (workflowExecution !== undefined) {
      const payload: ProblemsPayload = {
        step: this.step,
        problems,
        ...(gateways === undefined ? {} : { gateways }),
      };
      const { workflowId, runId } = workflowExecution;
      await this.context.client.workflow.getHandle(workflowId, runId).signal(PROBLEMS_SIGNAL, payload);
    }
    this.remember({ problems });
  }

  private remember(change: Partial<Memory>): void {
    this.memory = { ...this.memory, ...change };
    this.heartbeat();
  }
}

function isMemory(value: unknown): value is Memory {
  return (
    typeof value === 'object' &&
    value !== null &&
    'startedAtMs' in value &&
    'done' in value &&
    'tries' in value
  );
}

/**
 * Runs one attempt: heartbeats while it lasts, ends at once when it is cancelled, and turns our errors into failures
 * that Temporal retries or not as the error catalogue says.
 */
export async function attempt<T>(step: number, run: (attempt: Attempt) => Promise<T>): Promise<T> {
  const context = Context.current();
  const present = new Attempt(step);
  const pulse = setInterval(() => present.heartbeat(), HEARTBEAT_MS);
  const work = run(present);
  try {
    return await Promise.race([work, context.cancelled]);
  } catch (error) {
    // What is under way comes to its end first: the next step must not meet a late effect of this one.
    await Promise.race([work.catch(() => undefined), delay(LAST_EFFECT_MS, undefined, { ref: false })]);
    if (!(error instanceof CancelledFailure) && isRetryable(error)) {
      // Only to be shown: that the run cannot be told changes nothing about the failure.
      await present.tellFailure(error).catch(() => undefined);
    }
    throw toFailure(error);
  } finally {
    clearInterval(pulse);
  }
}

function isRetryable(error: unknown): boolean {
  if (error instanceof ApplicationFailure) return error.nonRetryable !== true;
  return !(error instanceof ChangeoverError) || error.retryable;
}

/** The one place where our errors become Temporal's. */
export function toFailure(error: unknown): unknown {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (!(error instanceof ChangeoverError)) return error;
  return ApplicationFailure.create({
    type: error.code,
    message: error.message,
    nonRetryable: !error.retryable,
    ...(error.details === undefined ? {} : { details: [error.details] }),
    cause: error,
  });
}
