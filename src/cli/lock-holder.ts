import { EXIT } from './exit-code.ts';
import { exitCodeOf } from './failure.ts';
import { withUpgrade } from './upgrade-access.ts';

/** Unknown: Temporal answers, but this namespace has no such run (any more, or another namespace has it). */
export type HolderState = 'running' | 'over' | 'unknown';

/**
 * Whether the upgrade that holds a lock still runs. Its id is `<workflowId>.<one group of its first run id>`.
 *
 * @throws ChangeoverError `TemporalUnreachable`.
 */
export async function holderState(env: NodeJS.ProcessEnv, upgradeId: string): Promise<HolderState> {
  const dot = upgradeId.lastIndexOf('.');
  if (dot <= 0) return 'unknown';
  const workflowId = upgradeId.slice(0, dot);
  try {
    const newest = await withUpgrade(env, { workflowId }, (upgrade) => upgrade.describe());
    const firstRunId = newest.raw.workflowExecutionInfo?.firstRunId || newest.runId;
    return stateOfHolder(upgradeId, { firstRunId, status: newest.status.name });
  } catch (error) {
    if (exitCodeOf(error) === EXIT.notNow) return 'unknown';
    throw error;
  }
}

/** One run at a time has a workflow id: where the newest is another one, the holder is over. */
export function stateOfHolder(
  upgradeId: string,
  { firstRunId, status }: { firstRunId: string; status: string },
): HolderState {
  const group = upgradeId.slice(upgradeId.lastIndexOf('.') + 1);
  const runs = status === 'RUNNING' || status === 'CONTINUED_AS_NEW';
  return runs && firstRunId.split('-').includes(group) ? 'running' : 'over';
}
