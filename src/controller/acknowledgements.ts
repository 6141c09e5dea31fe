import type { GatewayState } from '../protocol/controller.ts';
import type { Change, ServiceState } from './service-state.ts';

/** What a gateway says that it executes. */
export interface Acknowledgement {
  readonly gateway: string;
  readonly version: number;
  /** When it was asked, or when it said so by itself: a lower version from before its last word is not news. */
  readonly asOf: string;
  /** Now. */
  readonly at: string;
  /** Why the version is not the one that it was given. */
  readonly problem?: string;
}

/**
 * Records what a gateway executes now. A lower version than before is believed (it lost its disk): invariant 2 builds
 * on what gateways execute, not on what they executed once. A version that this controller never gave out means that
 * its own state is the older one (a restored backup): the active table is given a newer version, or the gateway would
 * refuse it for ever (invariant 4).
 */
export function acknowledge(state: ServiceState, ack: Acknowledgement): Change<undefined> {
  const known = stateOf(state, ack.gateway);
  const outdated =
    known !== undefined &&
    ack.version < known.acknowledged &&
    known.acknowledgedAt !== null &&
    ack.asOf < known.acknowledgedAt;
  if (known === undefined || outdated) return { state, answer: undefined };
  const executesActive = ack.version >= state.active.version;
  const problem = ack.problem ?? (executesActive ? null : known.problem);
  const next: GatewayState = {
    ...known,
    acknowledged: ack.version,
    acknowledgedAt: ack.version === known.acknowledged ? known.acknowledgedAt : ack.at,
    problem,
    problemSince: problem === null ? null : (known.problemSince ?? ack.at),
  };
  return { state: overtake(withGateway(state, next), ack.version), answer: undefined };
}

function overtake(state: ServiceState, executed: number): ServiceState {
  if (executed <= state.active.version) return state;
  const version = Math.max(executed, state.lastVersion) + 1;
  return { ...state, active: { ...state.active, version }, lastVersion: version };
}

/**
 * A push failed: nobody knows what the gateway executes, so that its last word stands. Where that is the active table,
 * which it pulled meanwhile, nothing is wrong.
 */
export function reportProblem(
  state: ServiceState,
  report: { gateway: string; problem: string; at: string },
): Change<undefined> {
  const known = stateOf(state, report.gateway);
  if (known === undefined || known.acknowledged >= state.active.version) return { state, answer: undefined };
  const problemSince = known.problemSince ?? report.at;
  return {
    state: withGateway(state, { ...known, problem: report.problem, problemSince }),
    answer: undefined,
  };
}

function stateOf(state: ServiceState, gateway: string): GatewayState | undefined {
  return state.gateways.find(({ address }) => address.name === gateway)?.state;
}

function withGateway(state: ServiceState, next: GatewayState): ServiceState {
  const known = stateOf(state, next.name);
  const same =
    known?.acknowledged === next.acknowledged &&
    known.problem === next.problem &&
    known.problemSince === next.problemSince;
  if (same) return state;
  return {
    ...state,
    gateways: state.gateways.map((gateway) =>
      gateway.address.name === next.name ? { ...gateway, state: next } : gateway,
    ),
  };
}
