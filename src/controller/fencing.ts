import { ChangeoverError } from '../domain/errors.ts';
import type { Fenced, GatewayAddress } from '../protocol/controller.ts';
import { withGateways } from './gateway-list.ts';
import { NO_STEPS, refuseDuplicates, type Change, type ServiceState } from './service-state.ts';

/**
 * Takes the lock, or confirms it to its holder, and adds gateways that are new. The routes get a version that says that
 * an upgrade is under way: nothing may be changed before every gateway has acknowledged that one (`RouteTable.upgrade`).
 *
 * @throws ChangeoverError `ServiceLocked` naming the holder; `PreflightFailed` naming gateways that the caller leaves out.
 */
export function acquireLock(
  state: ServiceState,
  request: { upgradeId: string; gateways: readonly GatewayAddress[]; at: string },
): Change<{ fence: number }> {
  refuseDuplicates('gateways', request.gateways);
  const { lock } = state;
  if (lock !== null && lock.upgradeId !== request.upgradeId) {
    throw new ChangeoverError(
      'ServiceLocked',
      `${state.service} is being upgraded by ${lock.upgradeId} since ${lock.since}; wait for it to end, or abort it.`,
      { details: { upgradeId: lock.upgradeId, since: lock.since } },
    );
  }
  const complete = underUpgrade(withGateways(state, request.gateways), request.upgradeId);
  if (lock !== null) return { state: complete, answer: { fence: lock.fence } };
  const fence = state.lastFence + 1;
  return {
    state: {
      ...complete,
      lock: { upgradeId: request.upgradeId, fence, since: request.at },
      lastFence: fence,
      applied: NO_STEPS,
      staged: null,
      guardrails: null,
      pulls: [],
    },
    answer: { fence },
  };
}

/**
 * Releases the lock, and drops what only the upgrade needed. A caller whose lock is gone already, or whose fence was
 * followed by another, has what it wants: nothing changes.
 *
 * @throws ChangeoverError `Fenced` for a fence that was never given, or a step older than what was applied.
 */
export function releaseLock(state: ServiceState, request: Fenced): Change<undefined> {
  const unchanged = { state, answer: undefined };
  if (request.fence <= state.lastFence && request.fence !== state.lock?.fence) return unchanged;
  assertHolder(state, request);
  if (request.step < state.applied.highestStep) throw lateStep(state, request);
  const { upgrade: _over, ...routes } = state.active;
  const lastVersion = state.lastVersion + 1;
  return {
    state: {
      ...state,
      lock: null,
      staged: null,
      guardrails: null,
      active: { ...routes, version: lastVersion },
      lastVersion,
    },
    answer: undefined,
  };
}

function underUpgrade(state: ServiceState, upgrade: string): ServiceState {
  if (state.active.upgrade === upgrade) return state;
  const lastVersion = state.lastVersion + 1;
  return { ...state, active: { ...state.active, version: lastVersion, upgrade }, lastVersion };
}

/** @throws ChangeoverError `Fenced` unless the caller holds the lock. */
export function assertHolder(state: ServiceState, { fence }: Fenced): void {
  if (state.lock?.fence === fence) return;
  const holder =
    state.lock === null
      ? 'nobody holds it now'
      : `it has gone to ${state.lock.upgradeId} (fence ${state.lock.fence})`;
  throw new ChangeoverError(
    'Fenced',
    `This call comes from an upgrade that no longer holds the lock on ${state.service}: its fence is ${fence}, ${holder}. Nothing was changed.`,
    { details: { fence, holder: state.lock } },
  );
}

/** Calls of different kinds may share a step. */
export type StepKind = 'stage' | 'activate' | 'guardrails' | 'exclude';

/**
 * Applies `effect` once per (fence, kind, step). A repeated call is answered as the first time, without effect
 * (invariant 9); a late one of an earlier attempt changes nothing (invariant 4). An effect that throws counts as not
 * applied.
 *
 * @throws ChangeoverError `Fenced` for a fence other than the lock's, and for an unknown step older than the newest.
 */
export function applyOnce(
  state: ServiceState,
  request: Fenced & { kind: StepKind },
  effect: (state: ServiceState) => ServiceState | Change<{ version: number }>,
): Change<{ version: number }> {
  assertHolder(state, request);
  const { applied } = state;
  const key = `${request.kind}:${request.step}`;
  const remembered = applied.results[key];
  if (remembered !== undefined) return { state, answer: { version: remembered } };
  if (request.step < applied.highestStep) throw lateStep(state, request);
  const result = effect(state);
  const next = 'answer' in result ? result.state : result;
  const answer = 'answer' in result ? result.answer : { version: next.active.version };
  return {
    state: {
      ...next,
      applied: { highestStep: request.step, results: { ...applied.results, [key]: answer.version } },
    },
    answer,
  };
}

/** This very call was applied before. */
export function wasApplied(state: ServiceState, { fence, kind, step }: Fenced & { kind: StepKind }): boolean {
  return state.lock?.fence === fence && state.applied.results[`${kind}:${step}`] !== undefined;
}

function lateStep(state: ServiceState, { step }: Fenced): ChangeoverError {
  const { highestStep } = state.applied;
  return new ChangeoverError(
    'Fenced',
    `Step ${step} of the upgrade of ${state.service} comes after step ${highestStep} was applied. Nothing was changed.`,
    { details: { step, highestStep } },
  );
}
