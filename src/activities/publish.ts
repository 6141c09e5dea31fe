import { ChangeoverError } from '../domain/errors.ts';
import type { RouteRegistry } from '../ports/route-registry.ts';
import type { Attempt } from './attempt.ts';

/** Publishing is tried again at this pace within an attempt; gateways that pull meanwhile count too. */
const ROUND_MS = 250;
/** After so many rounds the attempt fails, so that "keep publishing" shows as Temporal's retries. */
const ROUNDS = 12;

/**
 * Publishes until every gateway has acknowledged at least this version of the table, however it got it.
 *
 * @throws ChangeoverError `RoutesNotAcknowledged`, retryable, that names who has not.
 */
export async function publishUntilAcknowledged(
  registry: RouteRegistry,
  attempt: Attempt,
  { service, version }: { service: string; version: number },
): Promise<void> {
  for (let round = 1; ; round += 1) {
    const { gateways } = await registry.publish(service);
    const laggards = gateways.filter((gateway) => gateway.acknowledged < version);
    if (laggards.length === 0) return attempt.tell([]);
    if (round >= ROUNDS) {
      const problems = laggards.map((gateway) => ({
        where: `gateway ${gateway.name}`,
        code: 'RoutesNotAcknowledged',
        message: `has route table ${gateway.acknowledged}, not ${version} yet${gateway.problem === null ? '' : `: ${gateway.problem}`}`,
      }));
      await attempt.tell(problems);
      throw new ChangeoverError(
        'RoutesNotAcknowledged',
        `Route table ${version} of ${service} is not acknowledged by ${problems.map(({ where, message }) => `${where} (${message})`).join('; ')}. Publishing goes on.`,
      );
    }
    await attempt.sleep(ROUND_MS);
  }
}
