import type { Transition } from '../domain/routes/transitions.ts';
import type { PromotionResult } from '../domain/upgrade/results.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface PromoteOptimalInput extends StepContext {
  readonly winner: string;
  readonly transitions: readonly Transition[];
}

/**
 * Moves all traffic to the winner's cluster, on every gateway, and then disarms the trial's guardrails: they hold to the
 * last moment. A winner that they pulled meanwhile is not promoted.
 */
export function promoteOptimal({
  registry,
  observatory,
}: Pick<ActivityDependencies, 'registry' | 'observatory'>) {
  return (input: PromoteOptimalInput): Promise<PromotionResult> =>
    attempt(input.step, async (present) => {
      const { service, fence, step, transitions } = input;
      const { pulls, tableVersion } = await observatory.traffic(service);
      const pulled = pulls.find(({ release }) => release === input.winner);
      if (pulled !== undefined) return { version: tableVersion, pulled };
      const { version } = await registry.activate(service, { fence, step, transitions });
      const gateways = await publishUntilAcknowledged(registry, present, { service, version });
      await observatory.armGuardrails(service, { fence, step, releases: [], guardrails: {} });
      return { version, pulled: null, gateways };
    });
}
