import type { Transition } from '../domain/routes/transitions.ts';
import type {
  AdoptAnswer,
  BlocksAnswer,
  CheckAnswer,
  Fenced,
  GatewayAddress,
  Guardrails,
  LoadAnswer,
  PublishAnswer,
  ServiceDefinition,
  ServiceStatus,
  TrafficAnswer,
} from '../protocol/controller.ts';

/**
 * The flow controller as activities see it. Every call may be repeated; calls that change something carry a fence and
 * a step, and a late one changes nothing (`Fenced`). The interfaces are one adapter, split by who needs what.
 *
 * @throws ChangeoverError `ControllerUnreachable`, or what the controller answered.
 */
export interface RouteRegistry {
  /** Takes a service under management with every server open; nothing happens where that is the case already. */
  adopt(service: string, definition: ServiceDefinition): Promise<AdoptAnswer>;
  stage(
    service: string,
    request: Fenced & { transitions: readonly Transition[] },
  ): Promise<{ version: number }>;
  /** Makes the given transitions, or what was staged last, active. */
  activate(
    service: string,
    request: Fenced & { transitions?: readonly Transition[] },
  ): Promise<{ version: number }>;
  /** Pushes to whoever has not acknowledged, and says who has. */
  publish(service: string): Promise<PublishAnswer>;
  status(service: string): Promise<ServiceStatus>;
}

export interface ServiceLock {
  acquire(
    service: string,
    request: { upgradeId: string; gateways: readonly GatewayAddress[] },
  ): Promise<{ fence: number }>;
  /** `by`: an operator does it, for the controller's log. */
  release(service: string, request: Fenced & { by?: string }): Promise<void>;
  /**
   * An operator declares a gateway gone: nobody waits for it until it has acknowledged the table current then.
   *
   * @throws ChangeoverError `GatewayAnswers` where it is not gone, `NotFound`, `InvalidRequest` for the last that counts.
   */
  excludeGateway(
    service: string,
    request: Fenced & { gateway: string; by: string; reason: string },
  ): Promise<void>;
}

/** What operators change by hand, each by name. */
export interface ServiceUpkeep {
  /** Forgets a gateway that is gone for good. Refused (`ServiceLocked`) during an upgrade. */
  removeGateway(service: string, request: { gateway: string; by: string }): Promise<void>;
}

export interface TrafficObservatory {
  /** In-flight business at every gateway, read now; fails if one gateway does not answer. */
  load(service: string, servers: readonly string[]): Promise<LoadAnswer>;
  traffic(service: string): Promise<TrafficAnswer>;
  /** Reads the gateways, closes the open block, and answers the trial's blocks numbered above `after`. */
  blocks(service: string, request: { trial: string; after: number }): Promise<BlocksAnswer>;
  /** Asks every gateway whether it could execute the active table with these transitions; nothing changes. */
  checkRoutes(service: string, transitions: readonly Transition[]): Promise<CheckAnswer>;
  armGuardrails(
    service: string,
    request: Fenced & { releases: readonly string[]; guardrails: Guardrails },
  ): Promise<void>;
  reportReady(
    service: string,
    request: Fenced & { release: string; servers: readonly string[] },
  ): Promise<void>;
}
