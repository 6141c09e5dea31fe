import { ChangeoverError } from '../domain/errors.ts';
import { laggardsOf, type GatewaysView } from '../domain/gateway-standing.ts';
import type { RouteRegistry } from '../ports/route-registry.ts';
import type { Attempt } from './attempt.ts';

/** Publishing is tried again at this pace within an attempt; gateways that pull meanwhile count too. */
const ROUND_MS = 250;
/**
 * After this time the attempt fails, so that "keep publishing" shows as Temporal's retries, and the problem in the
 * status. By the clock: a round takes as long as a gateway that hangs lets the controller wait.
 */
const ATTEMPT_MS = 3_000;

/**
 * Publishes until every gateway has acknowledged at least this version of the table, however it got it; those declared
 * gone are not waited for. Answers how all of them stand then.
 *
 * @throws ChangeoverError `RoutesNotAcknowledged`, retryable, that names who has not.
 */
export async function publishUntilAcknowledged(
  registry: RouteRegistry,
  attempt: Attempt,
  { service, version }: { service: string; version: number },
): Promise<GatewaysView> {
  const began = performance.now();
  for (;;) {
    const { version: wanted, since, gateways } = await registry.publish(service);
    const view: GatewaysView = { wanted, since, list: gateways };
    const laggards = laggardsOf(gateways, version);
    if (laggards.length === 0) {
      await attempt.tell([]);
      return view;
    }
    if (performance.now() - began >= ATTEMPT_MS) {
      const problems = laggards.map((gateway) => ({
        where: `gateway ${gateway.name}`,
        code: 'RoutesNotAcknowledged',
        message: `has route table ${gateway.acknowledged}, not ${version} yet${gateway.problem === null ? '' : `: ${gateway.problem}`}`,
      }));
      await attempt.tell(problems, view);
      throw new ChangeoverError(
        'RoutesNotAcknowledged',
        `Route table ${version} of ${service} is not acknowledged by ${problems.map(({ where, message }) => `${where} (${message})`).join('; ')}. Publishing goes on.`,
      );
    }
    await attempt.sleep(ROUND_MS);
  }
}
