/**
 * How the controller learnt last which table a gateway executes: from the answer to a push, from the gateway itself when
 * it pulled, or at a reading of its counters.
 */
export const ACKNOWLEDGED_BY = ['push', 'pull', 'reading'] as const;
export type AcknowledgedBy = (typeof ACKNOWLEDGED_BY)[number];

/** An operator declared a gateway gone. */
export interface GatewayExclusion {
  readonly by: string;
  readonly at: string;
  readonly reason: string;
  /** The upgrade during which it happened. */
  readonly upgradeId: string;
}

/** Where one gateway stands: what it executes, since when, and what is wrong with it. */
export interface GatewayStanding {
  readonly name: string;
  /** Version acknowledged last, however it got it; 0 for none. */
  readonly acknowledged: number;
  readonly acknowledgedAt: string | null;
  readonly acknowledgedBy?: AcknowledgedBy | undefined;
  /** Why the last push failed; null where it did not. */
  readonly problem: string | null;
  readonly problemSince: string | null;
  /** Nobody waits for it until it has acknowledged the table that is current then. */
  readonly excluded?: GatewayExclusion | undefined;
}

/** All gateways, and the table that they are to execute. */
export interface GatewaysView {
  readonly wanted: number;
  /** When `wanted` became active. */
  readonly since?: string | undefined;
  readonly list: readonly GatewayStanding[];
}

/** Those that a step waits for. */
export function laggardsOf(gateways: readonly GatewayStanding[], wanted: number): readonly GatewayStanding[] {
  return gateways.filter(({ acknowledged, excluded }) => excluded === undefined && acknowledged < wanted);
}
