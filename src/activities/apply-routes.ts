import type { Transition } from '../domain/routes/transitions.ts';
import type { RoutesResult } from '../domain/upgrade/results.ts';
import type { Guardrails } from '../protocol/controller.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface ApplyRoutesInput extends StepContext {
  /** Null: what was staged takes effect. */
  readonly transitions: readonly Transition[] | null;
  /** Armed before the routes take effect; no releases: disarmed. Null: left as they are. */
  readonly guardrails: { readonly releases: readonly string[]; readonly guardrails: Guardrails } | null;
}

/**
 * The routes take effect and are published to every gateway. Publishing goes on, by Temporal's retries, until each has
 * acknowledged the table's version, by push or by pull.
 */
export function applyRoutes({
  registry,
  observatory,
}: Pick<ActivityDependencies, 'registry' | 'observatory'>) {
  return (input: ApplyRoutesInput): Promise<RoutesResult> =>
    attempt(input.step, async (present) => {
      const { service, fence, step, transitions, guardrails } = input;
      if (guardrails !== null) await observatory.armGuardrails(service, { fence, step, ...guardrails });
      const { version } = await registry.activate(service, {
        fence,
        step,
        ...(transitions === null ? {} : { transitions }),
      });
      const gateways = await publishUntilAcknowledged(registry, present, { service, version });
      return { version, gateways };
    });
}
