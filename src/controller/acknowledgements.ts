import type { Logger } from 'pino';
import type { AcknowledgedBy } from '../domain/gateway-standing.ts';
import type { GatewayState } from '../protocol/controller.ts';
import type { Change, ServiceState } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';

/** What a gateway says that it executes. */
export interface Acknowledgement {
  readonly gateway: string;
  readonly version: number;
  readonly by: AcknowledgedBy;
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
 *
 * A gateway that was declared gone counts again from its acknowledgement of the active table on, whatever it says of
 * older ones. The table gets another version then: what it acknowledged is fenced, and what it serves by is not.
 */
export function acknowledge(state: ServiceState, ack: Acknowledgement): Change<{ back: boolean }> {
  const known = stateOf(state, ack.gateway);
  const outdated =
    known !== undefined &&
    ack.version < known.acknowledged &&
    known.acknowledgedAt !== null &&
    ack.asOf < known.acknowledgedAt;
  if (known === undefined || outdated) return { state, answer: { back: false } };
  const executesActive = ack.version >= state.active.version;
  const problem = ack.problem ?? (executesActive ? null : known.problem);
  const next: GatewayState = {
    ...known,
    acknowledged: ack.version,
    ...(ack.version === known.acknowledged ? {} : { acknowledgedAt: ack.at, acknowledgedBy: ack.by }),
    problem,
    problemSince: problem === null ? null : (known.problemSince ?? ack.at),
  };
  const { excluded, ...counted } = next;
  const back = excluded !== undefined && executesActive && ack.asOf >= excluded.at;
  const noted = overtake(withGateway(state, back ? counted : next), ack.version);
  return { state: back ? anew(noted) : noted, answer: { back } };
}

/** Acknowledges on behalf of a service's gateway, and logs that one which was declared gone counts again. */
export async function noteExecuted(
  { store, logger }: { store: ServiceStore; logger: Logger },
  service: string,
  ack: Acknowledgement,
): Promise<void> {
  const { back } = await store.update(service, (state) => acknowledge(state, ack));
  const { gateway, version } = ack;
  if (back) logger.warn({ service, gateway, version }, 'a gateway that was declared gone counts again');
}

/** The same routes as a new version. */
function anew(state: ServiceState): ServiceState {
  const version = state.lastVersion + 1;
  return { ...state, active: { ...state.active, version }, lastVersion: version };
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
    known.excluded === next.excluded &&
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
