import { applyTransitions, type Transition } from '../domain/routes/transitions.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { CheckAnswer, GatewayAddress } from '../protocol/controller.ts';
import { messageOf } from './publisher.ts';
import type { ServiceStore } from './service-store.ts';

/** For one gateway, in milliseconds: it may have to read a lookup file of some size. */
const CHECK_TIMEOUT_MS = 5_000;

/** Asks every gateway at once whether it could execute the active table with these transitions. Nothing changes. */
export async function checkRoutes(
  { store, gatewayFor }: { store: ServiceStore; gatewayFor: (address: GatewayAddress) => TrafficGateway },
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
        const problem = await gatewayFor(address).check(table, { signal }).catch(messageOf);
        return { gateway: address.name, problem };
      }),
    ),
  };
}
