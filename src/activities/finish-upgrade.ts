import { ChangeoverError } from '../domain/errors.ts';
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
      // Ours it never was: somebody else holds it, or it was refused.
    const notOurs: readonly string[] = ['ServiceLocked', 'ServiceUnknown', 'PreflightFailed'];
    if (error instanceof ChangeoverError && notOurs.includes(error.code)) return undefined;
    throw error;
  }
}
