import { ChangeoverError } from '../domain/errors.ts';
import type { ExclusionResult } from '../domain/upgrade/results.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';

export interface ExcludeGatewayInput extends StepContext {
  readonly gateway: string;
  readonly by: string;
  readonly reason: string;
}

/**
 * Tells the controller that an operator declared a gateway gone. The controller has the last word, since it knows whether
 * the gateway answers; what it refuses is a result, which the operator reads in the timeline.
 */
export function excludeGateway({ lock, registry }: Pick<ActivityDependencies, 'lock' | 'registry'>) {
  return (input: ExcludeGatewayInput): Promise<ExclusionResult> =>
    attempt(input.step, async () => {
      const { service, fence, step, gateway, by, reason } = input;
      const refused = await lock
        .excludeGateway(service, { fence, step, gateway, by, reason })
        .then(() => null)
        .catch((error: unknown) => {
          if (error instanceof ChangeoverError && !error.retryable) return error.message;
          throw error;
        });
      const { active, activeSince: since, gateways } = await registry.status(service);
      return { refused, gateways: { wanted: active.version, since, list: gateways } };
    });
}
