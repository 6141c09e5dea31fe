import { parseDurationMs } from '../duration.ts';
import type { GatewaysView } from '../gateway-standing.ts';
import { softwareOf } from '../plan/arm-names.ts';
import type { Plan } from '../plan/schema.ts';
import { whyNot, type Action } from './actions.ts';
import { wantExclusion, whyNotExclude, withGateways } from './exclusions.ts';
import { nextStep } from './next-step.ts';
import { needsChange, withStage } from './fleet.ts';
import { promotable } from './promotable.ts';
import { noted, type Problem, type UpgradeState } from './state.ts';

/** Payloads of the signals, as outsiders send them. */
export interface ApprovePayload {
  readonly by: string;
  readonly comment?: string;
  /** Needed where the trial was inconclusive; otherwise the winner. */
  readonly candidate?: string;
}
export interface AbortPayload {
  readonly by: string;
  readonly reason: string;
}
export interface ByPayload {
  readonly by: string;
}
export interface ServerPayload {
  readonly by: string;
  readonly server: string;
}
export interface GatewayPayload {
  readonly by: string;
  readonly gateway: string;
  readonly reason: string;
}
export interface ExtendPayload {
  readonly by: string;
  /** Such as `10m`. */
  readonly length: string;
}
/** From our own activities: what is wrong at the moment. Empty: nothing any more. */
export interface ProblemsPayload {
  readonly step: number;
  readonly problems: readonly Problem[];
  /** Where routes were published: who has them. */
  readonly gateways?: GatewaysView;
}

/**
 * The state after an operator's signal. A signal that is malformed or not possible now changes nothing but the
 * timeline, which says who tried what and why it was refused: a signal has no other way to answer.
 */
export function receive(
  plan: Plan,
  state: UpgradeState,
  action: Action,
  payload: unknown,
  at: string,
): UpgradeState {
  const fields = fieldsOf(payload);
  const by = fields['by'];
  if (by === undefined || by === '')
    return refused(state, action, at, 'the signal has no "by"; say who sends it');
  const reason = whyNot(action, state);
  if (reason !== undefined) return refused(state, action, at, reason, by);
  switch (action) {
    case 'approve':
      return approve(plan, state, { ...fields, by }, at);
    case 'extend':
      return extend(state, { ...fields, by }, at);
    case 'abort':
      return noted(
        {
          ...state,
          goal: 'rollback',
          paused: null,
          accepted: null,
          aborted: { by, at, reason: fields['reason'] ?? '' },
        },
        { at, by, what: `Aborted: ${fields['reason'] ?? 'no reason given'}` },
      );
    case 'pause':
      return noted({ ...state, paused: { by, at, reason: `paused by ${by}` } }, { at, by, what: 'Paused' });
    case 'resume':
      return resume(plan, state, by, at);
    case 'retryServer':
    case 'skipServer':
      return onServer(plan, state, action, { by, server: fields['server'] ?? '' }, at);
    case 'excludeGateway': {
      const exclusion = { by, at, gateway: fields['gateway'] ?? '', reason: fields['reason']?.trim() ?? '' };
      const against = whyNotExclude(plan, state, exclusion);
      return against === undefined
        ? wantExclusion(state, exclusion)
        : refused(state, action, at, against, by);
    }
  }
}

function fieldsOf(payload: unknown): Readonly<Record<string, string | undefined>> {
  if (typeof payload !== 'object' || payload === null) return {};
  return Object.fromEntries(Object.entries(payload).filter(([, value]) => typeof value === 'string'));
}

function refused(state: UpgradeState, action: Action, at: string, reason: string, by?: string): UpgradeState {
  return noted(state, { at, what: `Refused ${action}: ${reason}`, ...(by === undefined ? {} : { by }) });
}

function approve(
  plan: Plan,
  state: UpgradeState,
  payload: Readonly<Record<string, string | undefined>> & { by: string },
  at: string,
): UpgradeState {
  const { verdict } = state.trial;
  const { by, comment } = payload;
  if (plan.candidates.some(({ version }) => softwareOf(version) !== version)) {
    return refused(state, 'approve', at, 'an A/A test promotes nothing: abort ends it', by);
  }
  const candidate = payload['candidate'] ?? promotable(plan, verdict);
  const left = plan.candidates
    .map(({ version }) => version)
    .filter((version) => !(version in state.trial.pulled));
  if (verdict === null || candidate === undefined) {
    return refused(state, 'approve', at, `the trial has no winner; name a candidate: ${left.join(', ')}`, by);
  }
  if (!left.includes(candidate)) {
    return refused(
      state,
      'approve',
      at,
      `${candidate} cannot be promoted; these can: ${left.join(', ')}`,
      by,
    );
  }
  const approval = { by, at, candidate, verdict, ...(comment === undefined ? {} : { comment }) };
  return noted(
    { ...state, approval, winner: candidate, goal: 'promote', trial: { ...state.trial, ended: true } },
    {
      at,
      by,
      what: `Approved ${candidate} on: ${verdict.sentence}${comment === undefined ? '' : ` (${comment})`}`,
    },
  );
}

function extend(
  state: UpgradeState,
  payload: Readonly<Record<string, string | undefined>> & { by: string },
  at: string,
): UpgradeState {
  const lengthMs = parseDurationMs(payload['length'] ?? '');
  if (lengthMs === undefined || lengthMs <= 0) {
    return refused(
      state,
      'extend',
      at,
      `length was ${payload['length'] ?? 'not given'}; say for example 10m`,
      payload.by,
    );
  }
  const trial = {
    ...state.trial,
    ended: false,
    verdict: null,
    extendedMs: state.trial.extendedMs + lengthMs,
  };
  return noted({ ...state, trial }, { at, by: payload.by, what: `Trial extended by ${payload['length']}` });
}

function resume(plan: Plan, state: UpgradeState, by: string, at: string): UpgradeState {
  if (state.paused !== null) return noted({ ...state, paused: null }, { at, by, what: 'Resumed' });
  const step = nextStep(plan, state);
  if (step.kind === 'wait' && step.until === 'accepted') {
    return noted({ ...state, accepted: { by, at } }, { at, by, what: 'Accepted that servers are left out' });
  }
  return refused(state, 'resume', at, 'this needs something mended, not accepted', by);
}

function onServer(
  plan: Plan,
  state: UpgradeState,
  action: 'retryServer' | 'skipServer',
  { by, server: name }: ServerPayload,
  at: string,
): UpgradeState {
  const server = state.servers[name];
  if (server === undefined || server.stage === 'removed') {
    return refused(state, action, at, `there is no server ${name || '(none named)'} in this upgrade`, by);
  }
  if (action === 'retryServer' && server.stage === 'open' && server.skipped === undefined) {
    return refused(state, action, at, `${name} serves; there is nothing to try again`, by);
  }
  if (action === 'retryServer') {
    const next = withStage(state, [name], ({ skipped: _over, ...rest }) => ({
      ...rest,
      // Even where it runs what it should: nobody vouched for it, so it has to report ready first.
      stage: rest.stage !== 'out' ? rest.stage : needsChange(plan, state, rest) ? 'drained' : 'changed',
      retry: (rest.retry ?? 0) + 1,
    }));
    return noted({ ...next, accepted: null }, { at, by, what: `Trying ${name} again` });
  }
  // Sealed off already: out at once. Otherwise it is closed and drained when its turn comes, and then left out.
  const sealed = ['drained', 'changing', 'changed', 'ready'].includes(server.stage);
  const next = withStage(state, [name], (one) => ({
    ...one,
    stage: sealed ? 'out' : one.stage,
    skipped: { by, at },
  }));
  return noted({ ...next, accepted: null }, { at, by, what: `Leaving out ${name}` });
}

/** Problems that an activity reports; late ones of an earlier step change nothing. */
export function withProblems(state: UpgradeState, payload: ProblemsPayload, at: string): UpgradeState {
  if (payload.step !== state.step.number) return state;
  const told: UpgradeState = { ...state, problems: payload.problems };
  return payload.gateways === undefined ? told : withGateways(told, payload.gateways, at);
}
