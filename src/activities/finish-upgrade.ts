import { ChangeoverError, type ErrorCode } from '../domain/errors.ts';
import type { UpgradeReport } from '../domain/report/report.ts';
import type { FinishResult } from '../domain/upgrade/results.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

export interface FinishUpgradeInput extends StepContext {
  readonly report: UpgradeReport;
  readonly gateways: readonly GatewayAddress[];
}

/** Writes the report and releases the service's lock, in this order: who finds the service free finds the report too. */
export function finishUpgrade({ reports, lock }: Pick<ActivityDependencies, 'reports' | 'lock'>) {
  return (input: FinishUpgradeInput): Promise<FinishResult> =>
    attempt(input.step, async () => {
      const { service, step, upgradeId, gateways } = input;
      const files = await reports.write(input.report);
      const fence = input.fence > 0 ? input.fence : await fenceIfOurs(lock, { service, upgradeId, gateways });
      if (fence !== undefined) await lock.release(service, { fence, step });
      return { files };
    });
}

/** Aborted during the preflight: it may have taken the lock, or not; the run was never told the fence. */
async function fenceIfOurs(
  lock: ActivityDependencies['lock'],
  { service, ...request }: { service: string; upgradeId: string; gateways: readonly GatewayAddress[] },
): Promise<number | undefined> {
  try {
    return (await lock.acquire(service, request)).fence;
  } catch (error) {
    if (error instanceof ChangeoverError && NOT_OURS.includes(error.code)) return undefined;
    throw error;
  }
}

/** Somebody else holds the lock, or it was refused. */
const NOT_OURS: readonly ErrorCode[] = ['ServiceLocked', 'ServiceUnknown', 'PreflightFailed'];
