import { isDeepStrictEqual } from 'node:util';
import { ChangeoverError } from '../domain/errors.ts';
import type { GatewayAddress } from '../protocol/controller.ts';
import { newGateway, type Change, type ServiceState } from './service-state.ts';

/**
 * The service with the gateways of a plan. One that is new, or has moved, has acknowledged nothing. None is dropped: a
 * gateway that a plan forgot would go on routing by an old table, and nobody would wait for it (invariant 2).
 *
 * @throws ChangeoverError `PreflightFailed` naming the gateways that the plan leaves out.
 */
export function withGateways(state: ServiceState, addresses: readonly GatewayAddress[]): ServiceState {
  const missing = namesOf(state).filter((name) => !addresses.some((address) => address.name === name));
  if (missing.length > 0) throw leftOut(state.service, missing);
  const gateways = addresses.map((address) => {
    const known = state.gateways.find(({ address: { name } }) => name === address.name);
    return known !== undefined && isDeepStrictEqual(known.address, address) ? known : newGateway(address);
  });
  const same =
    gateways.length === state.gateways.length &&
    gateways.every((gateway, index) => gateway === state.gateways[index]);
  return same ? state : { ...state, gateways };
}

function leftOut(service: string, missing: readonly string[]): ChangeoverError {
  const commands = missing.map((name) => `\`changeover remove-gateway ${service} ${name}\``).join(', ');
  return new ChangeoverError(
    'PreflightFailed',
    `Nothing was changed. The plan leaves out ${missing.join(', ')}, which routes traffic of ${service}: add it to the plan's gateways; or, where it is gone for good, remove it by ${commands}.`,
    { details: { missing } },
  );
}

/**
 * Removes a gateway that is gone for good; nobody waits for it any more.
 *
 * @throws ChangeoverError `ServiceLocked` during an upgrade, `NotFound` for a name that is not known, `InvalidRequest`
 * for the only one.
 */
export function removeGateway(state: ServiceState, gateway: string): Change<undefined> {
  const { service, lock } = state;
  if (lock !== null) {
    throw new ChangeoverError(
      'ServiceLocked',
      `${service} is being upgraded by ${lock.upgradeId} since ${lock.since}; its gateways can be removed when that is over.`,
      { details: { upgradeId: lock.upgradeId, since: lock.since } },
    );
  }
  const names = namesOf(state);
  if (!names.includes(gateway)) {
    throw new ChangeoverError(
      'NotFound',
      `${service} has no gateway ${gateway}; it has ${names.join(', ')}.`,
    );
  }
  if (names.length === 1) {
    throw new ChangeoverError(
      'InvalidRequest',
      `${gateway} is the only gateway of ${service}: name its successor in the plan first, by the same name if it replaces this one.`,
    );
  }
  const gateways = state.gateways.filter(({ address: { name } }) => name !== gateway);
  return { state: { ...state, gateways }, answer: undefined };
}

function namesOf(state: ServiceState): readonly string[] {
  return state.gateways.map(({ address: { name } }) => name);
}
