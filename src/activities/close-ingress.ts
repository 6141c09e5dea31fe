import type { Transition } from '../domain/routes/transitions.ts';
import type { CloseResult } from '../domain/upgrade/results.ts';
import { attempt, type StepContext } from './attempt.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishUntilAcknowledged } from './publish.ts';

export interface CloseIngressInput extends StepContext {
  readonly servers: readonly string[];
  /** What opens the servers of the batch before, by the same table. */
  readonly opening?: readonly Transition[];
}

/**
 * No new business enters these servers: the routes send it to the others. Done when every gateway has acknowledged
 * that. Transactions that began on the servers still end there.
 */
export function closeIngress({ registry }: Pick<ActivityDependencies, 'registry'>) {
  return (input: CloseIngressInput): Promise<CloseResult> =>
    attempt(input.step, async (present) => {
      const { service, fence, step, servers, opening = [] } = input;
      const { version } = await registry.activate(service, {
        fence,
        step,
        transitions: [...opening, { kind: 'close', servers }],
      });
      const gateways = await publishUntilAcknowledged(registry, present, { service, version });
      const opened = opening.flatMap((one) => (one.kind === 'open' ? one.servers : []));
      return { version, gateways, ...(opened.length === 0 ? {} : { opened }) };
    });
}
