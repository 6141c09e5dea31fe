import { readFile } from 'node:fs/promises';
import { historyFromJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { ChangeoverError } from '../domain/errors.ts';
import { WORKFLOWS_PATH } from '../worker.ts';
import {
  recordedSignals,
  recordedVerdicts,
  type RecordedSignal,
  type RecordedVerdict,
} from './recorded-decisions.ts';
import { openUpgrade } from './upgrade-access.ts';

/** One run of the chain that an upgrade consists of. */
export interface RunHistory {
  readonly workflowId: string;
  readonly runId: string;
  readonly history: History;
}

export interface ReplayResult {
  readonly runId: string;
  readonly events: number;
  /** Why this version of the workflow would not do what the history says; null where it would. */
  readonly deviation: string | null;
  readonly verdicts: readonly RecordedVerdict[];
  readonly signals: readonly RecordedSignal[];
}

/** All runs of an upgrade, the first one first. */
export async function fetchHistories(env: NodeJS.ProcessEnv, workflowId: string): Promise<RunHistory[]> {
  await using upgrade = await openUpgrade(env, { workflowId });
  const chain: RunHistory[] = [];
  let runId: string | null | undefined = (await upgrade.describe()).runId;
  while (runId !== undefined && runId !== null && runId !== '') {
    const history = await upgrade.temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
    chain.unshift({ workflowId, runId, history });
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
  }
  return chain;
}

/**
 * A history as `temporal workflow show --output json` writes it.
 *
 * @throws ChangeoverError `InvalidRequest` where the file holds none.
 */
export async function readHistory(file: string): Promise<RunHistory[]> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'));
    const history = historyFromJSON(parsed);
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes ?? undefined;
    if (started === undefined) throw new Error('its first event is not the start of a workflow');
    const { workflowId, originalExecutionRunId } = started;
    return [
      { workflowId: workflowId || 'replayed', runId: originalExecutionRunId ?? 'from the file', history },
    ];
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChangeoverError('InvalidRequest', `${file} holds no history: ${reason}.`, { cause });
  }
}

/** Runs this version of the workflow against a history, and derives its verdicts anew. */
export async function replayRun({ workflowId, runId, history }: RunHistory): Promise<ReplayResult> {
  return {
    runId,
    events: history.events?.length ?? 0,
    deviation: await deviationOf(workflowId, history),
    verdicts: recordedVerdicts(history),
    signals: recordedSignals(history),
  };
}

async function deviationOf(workflowId: string, history: History): Promise<string | null> {
  try {
    await Worker.runReplayHistory({ workflowsPath: WORKFLOWS_PATH }, history, workflowId);
    return null;
  } catch (error) {
    if (error instanceof DeterminismViolationError) return error.message;
    throw error;
  }
}

/** Replaying is chatty; what counts comes as the result. */
export function silenceRuntime(): void {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
}
