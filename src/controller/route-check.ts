import { applyTransitions, type Transition } from '../domain/routes/transitions.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { CheckAnswer, GatewayAddress } from '../protocol/controller.ts';
import { ChangeoverError } from '../domain/errors.ts';
import type { GatewayPresence } from './gateway-presence.ts';
import { messageOf } from './publisher.ts';
import type { ServiceStore } from './service-store.ts';

/** For one gateway, in milliseconds: it may have to read a lookup file of some size. */
const CHECK_TIMEOUT_MS = 5_000;

/** So recently an asking gateway was alive, in milliseconds. */
const HEARD_WITHIN_MS = 30_000;

/**
 * Asks every gateway at once whether it could execute the active table with these transitions. Nothing changes. One that
 * only pulls (there is no way from here to it) cannot be asked: what it lacks shows when the routes are applied.
 */
export async function checkRoutes(
  {
    store,
    gatewayFor,
    presence,
  }: {
    store: ServiceStore;
    gatewayFor: (address: GatewayAddress) => TrafficGateway;
    presence: GatewayPresence;
  },
  service: string,
  transitions: readonly Transition[],
): Promise<CheckAnswer> {
  const { active, gateways, lastVersion } = store.get(service);
  const table = applyTransitions(active, transitions, lastVersion + 1);
  const counted = gateways.filter(({ state }) => state.excluded === undefined);
  return {
    gateways: await Promise.all(
      counted.map(async ({ address }) => {
        const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
        const onlyPulls = (error: unknown): boolean =>
          error instanceof ChangeoverError &&
          error.code === 'GatewayUnreachable' &&
          presence.wasHeard(service, address.name, Date.now() - HEARD_WITHIN_MS);
        const problem = await gatewayFor(address)
          .check(table, { signal })
          .catch((error: unknown) => (onlyPulls(error) ? null : messageOf(error)));
        return { gateway: address.name, problem };
      }),
    ),
  };
}
