import type { Transition } from '../domain/routes/transitions.ts';
import type { RoutesResult } from '../domain/upgrade/results.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

export interface StageRoutesInput extends StepContext {
  readonly transitions: readonly Transition[];
}

/** Route pre-configuration: the table is prepared at the controller, not in effect. */
export function stageRoutes({ registry }: Pick<ActivityDependencies, 'registry'>) {
  return (input: StageRoutesInput): Promise<RoutesResult> =>
    attempt(input.step, async () => {
      const { service, fence, step, transitions } = input;
      const { version } = await registry.stage(service, { fence, step, transitions });
      return { version };
    });
}
