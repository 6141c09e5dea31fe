import { INNER_SERVICE, SERVICE } from '../plan.ts';
import { BASELINE, FLOATING_SECOND, STATIC_HOME, type BusinessRelease } from '../packages.ts';

export type GatewayKind = 'embedded' | 'haproxy';

export interface FleetConfig {
  /** Cluster → number of servers. The first is the baseline's; the others get a candidate each, in this order. */
  readonly clusters?: Readonly<Record<string, number>>;
  /**
   * The fleet's service is an inner one: its gateways are sidecars, each of a web server in front of which there is an
   * edge. Baseline and candidates are those of pricing then.
   */
  readonly tiers?: boolean;
  /** How many embedded ones, or a kind for each. */
  readonly gateways?: number | readonly GatewayKind[];
  readonly workers?: number;
  readonly baseline?: BusinessRelease;
  readonly candidates?: readonly BusinessRelease[];
  /** Everything that the fleet writes; by default a fresh folder in the system's temporary one, removed at the end. */
  readonly folder?: string;
  /** Keeps the folder, to look at logs. */
  readonly keepFolder?: boolean;
  /** Where the worker writes reports of upgrades; `reports` in the folder by default. */
  readonly reportDir?: string;
  readonly logLevel?: string;
  /** What differs in the workers' environment, such as the way to the controller. */
  readonly workerEnv?: Readonly<Record<string, string>>;
  /** Told what is being done: one sentence each. */
  readonly onProgress?: (sentence: string) => void;
  readonly onUnexpectedEnd?: (name: string, how: string) => void;
  /** Ends a start that is under way, and cleans up. */
  readonly signal?: AbortSignal;
}

export const FLEET_DEFAULTS = {
  clusters: { main: 3, blue: 3, green: 3 },
  gateways: 1,
  workers: 1,
  baseline: BASELINE,
  candidates: [STATIC_HOME, FLOATING_SECOND],
  logLevel: 'info',
} as const satisfies FleetConfig;

/** A kind for each gateway. */
export function gatewayKinds({ gateways }: Pick<FleetSettings, 'gateways'>): readonly GatewayKind[] {
  return typeof gateways === 'number'
    ? Array.from({ length: gateways }, (): GatewayKind => 'embedded')
    : gateways;
}

/** The service that the fleet upgrades. */
export function serviceOf({ tiers }: Pick<FleetConfig, 'tiers'>): typeof SERVICE | typeof INNER_SERVICE {
  return tiers === true ? INNER_SERVICE : SERVICE;
}

export type FleetSettings = FleetConfig &
  Required<Pick<FleetConfig, 'clusters' | 'gateways' | 'workers' | 'baseline' | 'candidates' | 'logLevel'>>;
