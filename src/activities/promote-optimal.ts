import type { Transition } from '../domain/routes/transitions.ts';
import type { RoutesResult } from '../domain/upgrade/results.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface PromoteOptimalInput extends StepContext {
  readonly winner: string;
  readonly transitions: readonly Transition[];
}

/** Moves all traffic to the winner's cluster, on every gateway, and disarms the trial's guardrails. */
export function promoteOptimal({
  registry,
  observatory,
}: Pick<ActivityDependencies, 'registry' | 'observatory'>) {
  return (input: PromoteOptimalInput): Promise<RoutesResult> =>
    attempt(input.step, async (present) => {
      const { service, fence, step, transitions } = input;
      await observatory.armGuardrails(service, { fence, step, releases: [], guardrails: {} });
      const { version } = await registry.activate(service, { fence, step, transitions });
      await publishUntilAcknowledged(registry, present, { service, version });
      return { version };
    });
}
