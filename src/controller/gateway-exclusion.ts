import type { Logger } from 'pino';
import type { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import type { excludeRequestSchema, GatewayAddress } from '../protocol/controller.ts';
import { applyOnce, assertHolder, wasApplied } from './fencing.ts';
import type { GatewayPresence } from './gateway-presence.ts';
import type { Change, GatewayRecord, ServiceState } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';

/** A gateway that lives answers within this, in milliseconds. */
const ANSWER_WITHIN_MS = 2_000;

type ExcludeRequest = z.infer<typeof excludeRequestSchema> & { readonly gateway: string };

export interface GatewayExclusions {
  /**
   * Declares a gateway gone, unless it answers or asks for routes itself. Repeated, it changes nothing, also where the
   * gateway has come back meanwhile.
   *
   * @throws ChangeoverError `GatewayAnswers`, `NotFound`, `InvalidRequest` for the last one that counts, `Fenced`.
   */
  exclude(service: string, request: ExcludeRequest): Promise<void>;
}

export function createGatewayExclusions(deps: {
  store: ServiceStore;
  gatewayFor: (address: GatewayAddress) => TrafficGateway;
  presence: GatewayPresence;
  logger: Logger;
}): GatewayExclusions {
  const { store, presence, logger } = deps;

  return {
    async exclude(service, request) {
      const { gateway, by, reason } = request;
      if (wasApplied(store.get(service), { ...request, kind: 'exclude' })) return;
      const { address } = excludable(store.get(service), request);
      const askedAt = Date.now();
      const answer = await answerOf(deps.gatewayFor(address));
      if (answer !== undefined) throw answers(gateway, answer);
      const { lock } = store.get(service);
      logger.warn({ service, gateway, by, reason, lock }, 'an operator declares a gateway gone');
      await store.update(service, (state) => {
        if (presence.wasHeard(service, gateway, askedAt)) throw answers(gateway, 'it asks for routes');
        return excluded(state, request, new Date().toISOString());
      });
    },
  };
}

/** @throws ChangeoverError where the request cannot be meant. */
function excludable(state: ServiceState, request: ExcludeRequest): GatewayRecord {
  assertHolder(state, request);
  const { gateway } = request;
  const names = state.gateways.map(({ address }) => address.name);
  const known = state.gateways.find(({ address }) => address.name === gateway);
  if (known === undefined) {
    throw new ChangeoverError(
      'NotFound',
      `${state.service} has no gateway ${gateway}; it has ${names.join(', ')}.`,
    );
  }
  const others = state.gateways.filter(({ address, state: one }) => {
    return address.name !== gateway && one.excluded === undefined;
  });
  if (others.length === 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      `${gateway} is the only gateway of ${state.service} that is left: start it, or one by its name.`,
    );
  }
  return known;
}

function excluded(state: ServiceState, request: ExcludeRequest, at: string): Change<{ version: number }> {
  const { gateway, by, reason } = request;
  return applyOnce(state, { ...request, kind: 'exclude' }, (current) => {
    if (excludable(current, request).state.excluded !== undefined) return current;
    const exclusion = { by, reason, at, upgradeId: current.lock?.upgradeId ?? '' };
    return {
      ...current,
      gateways: current.gateways.map((one) =>
        one.address.name === gateway ? { ...one, state: { ...one.state, excluded: exclusion } } : one,
      ),
    };
  });
}

/** What it says; undefined where it does not answer. An answer with an error is one, too. */
async function answerOf(gateway: TrafficGateway): Promise<string | undefined> {
  try {
    const { version } = await gateway.executing({ signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    return `it executes route table ${version}`;
  } catch (error) {
    const answered = error instanceof ChangeoverError && error.code !== 'GatewayUnreachable';
    return answered ? `it answers: ${error.message}` : undefined;
  }
}

function answers(gateway: string, how: string): ChangeoverError {
  return new ChangeoverError(
    'GatewayAnswers',
    `${gateway} is not gone: ${how}. Steps wait for a gateway that lives, since it routes traffic; where it shall go, stop it first (power or network).`,
  );
}

/**
 * The active table as a gateway gets it. One that was declared gone gets it fenced: whatever becomes of its
 * acknowledgement, it does not begin to serve before it counts again.
 */
export function tableFor(state: ServiceState, gateway: string | undefined): RouteTable {
  const known = state.gateways.find(({ address }) => address.name === gateway);
  const exclusion = known?.state.excluded;
  if (exclusion === undefined) return state.active;
  return { ...state.active, upgrade: state.active.upgrade ?? exclusion.upgradeId, fenced: true };
}
