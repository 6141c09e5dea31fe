import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { Outcomes } from '../domain/decision/guardrail-evidence.ts';
import type { GuardrailRules } from '../domain/guardrails.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { Transition } from '../domain/routes/transitions.ts';
import {
  gatewayAddressSchema,
  gatewayStateSchema,
  guardrailsSchema,
  incidentSchema,
  pullSchema,
  serviceDefinitionSchema,
  type AdoptAnswer,
  type GatewayAddress,
  type GatewayState,
  type Incident,
  type Pull,
  type ServiceDefinition,
} from '../protocol/controller.ts';
import { routeTableSchema, transitionSchema } from '../protocol/routes.ts';
import { trialSharesSchema, type TrialShares } from './trial-shares.ts';
import { trialStartSchema, type TrialStart } from './trial-start.ts';

/** All that the controller knows of one service, as it is on disk. Changed only as a whole, by pure functions. */
export interface ServiceState {
  readonly format: 1;
  readonly service: string;
  readonly definition: ServiceDefinition;
  readonly lock: Lock | null;
  /** Fences grow over all upgrades, so that a late call of an earlier one is recognised (invariant 4). */
  readonly lastFence: number;
  /** Highest version that was ever given to a table, staged ones included (invariant 4). */
  readonly lastVersion: number;
  readonly active: RouteTable;
  /** When that version became active; the store notes it. */
  readonly activeSince?: string;
  /** What each table of the trial asked for: its units may come to be read when another is active. */
  readonly trialShares?: TrialShares;
  /** The clock of its blocks starts then; the store notes it. */
  readonly trialStart?: TrialStart;
  readonly staged: StagedRoutes | null;
  readonly applied: AppliedSteps;
  readonly gateways: readonly GatewayRecord[];
  readonly ready: Readonly<Record<string, ReadyRecord>>;
  readonly guardrails: ArmedGuardrails | null;
  /** What guardrails pulled during the present (or last) upgrade. */
  readonly pulls: readonly Pull[];
}

export interface Lock {
  readonly upgradeId: string;
  readonly fence: number;
  readonly since: string;
}

export interface StagedRoutes {
  readonly transitions: readonly Transition[];
  /** Version of the table that `table` was made from. */
  readonly base: number;
  readonly table: RouteTable;
  /** It was activated; the transitions are kept for a repeated activation. */
  readonly inEffect: boolean;
}

/** The steps of the present fence and their answers, so that a repeated call gets the same one (invariant 9). */
export interface AppliedSteps {
  readonly highestStep: number;
  /** `<kind>:<step>` → version that was answered. */
  readonly results: Readonly<Record<string, number>>;
}

export interface GatewayRecord {
  readonly address: GatewayAddress;
  readonly state: GatewayState;
}

/** Reports are ordered per server by fence and step: clusters get ready side by side. */
export interface ReadyRecord {
  readonly release: string;
  readonly at: string;
  readonly fence: number;
  readonly step: number;
}

export interface ArmedGuardrails {
  readonly releases: readonly string[];
  readonly rules: GuardrailRules;
  readonly armedAt: string;
  /** What of each release had ended when they were armed, or when the last incident was over. */
  readonly before: Readonly<Record<string, Outcomes>>;
  /** Incidents that are over: each begins the evidence anew, with a share of what may go wrong. */
  readonly incidents?: number;
  /** The baseline breaches as well. */
  readonly incident?: Incident;
}

/** A state and what the caller is answered. The same object as before means that nothing changed. */
export interface Change<T> {
  readonly state: ServiceState;
  readonly answer: T;
}

const count = z.int().nonnegative();

export const serviceStateSchema = z.strictObject({
  format: z.literal(1),
  service: z.string(),
  definition: serviceDefinitionSchema,
  lock: z.strictObject({ upgradeId: z.string(), fence: count, since: z.string() }).nullable(),
  lastFence: count,
  lastVersion: count,
  active: routeTableSchema,
  activeSince: z.string().exactOptional(),
  trialShares: trialSharesSchema.exactOptional(),
  trialStart: trialStartSchema.exactOptional(),
  staged: z
    .strictObject({
      transitions: z.array(transitionSchema),
      base: count,
      table: routeTableSchema,
      inEffect: z.boolean(),
    })
    .nullable(),
  applied: z.strictObject({ highestStep: z.int().min(-1), results: z.record(z.string(), count) }),
  gateways: z.array(z.strictObject({ address: gatewayAddressSchema, state: gatewayStateSchema })),
  ready: z.record(
    z.string(),
    z.strictObject({ release: z.string(), at: z.string(), fence: count, step: count }),
  ),
  guardrails: z
    .strictObject({
      releases: z.array(z.string()),
      rules: guardrailsSchema,
      armedAt: z.string(),
      before: z.record(z.string(), z.strictObject({ finished: count, errors: count, slow: count })),
      incidents: count.exactOptional(),
      incident: incidentSchema.exactOptional(),
    })
    .nullable(),
  pulls: z.array(pullSchema),
}) satisfies z.ZodType<ServiceState>;

export const NO_STEPS: AppliedSteps = { highestStep: -1, results: {} };

/**
 * Takes a service under management: all servers open on the definition's release. Where that happened before, nothing
 * changes, whatever its servers run by now.
 *
 * @throws ChangeoverError `InvalidRequest` if the service exists with other servers, or names appear twice.
 */
export function adopt(
  known: ServiceState | undefined,
  { service, definition, at }: { service: string; definition: ServiceDefinition; at: Date },
): Change<AdoptAnswer> {
  refuseDuplicates('servers', definition.servers);
  refuseDuplicates('gateways', definition.gateways);
  if (known !== undefined) {
    refuseOtherServers(known, definition);
    const answer = {
      version: known.active.version,
      created: false,
      differing: differencesOf(known, definition),
    };
    return { state: known, answer };
  }
  const active: RouteTable = {
    service,
    version: 1,
    mainRelease: definition.release,
    split: null,
    servers: definition.servers.map((server) => ({
      ...server,
      release: definition.release,
      ingress: 'open',
    })),
    transactions: definition.transactions,
    measure: definition.measure,
  };
  const state: ServiceState = {
    format: 1,
    service,
    definition,
    lock: null,
    lastFence: secondsOf(at),
    lastVersion: 1,
    active,
    staged: null,
    applied: NO_STEPS,
    gateways: definition.gateways.map(newGateway),
    ready: {},
    guardrails: null,
    pulls: [],
  };
  return { state, answer: { version: 1, created: true, differing: [] } };
}

/**
 * Where the fences of a service begin: agents keep the highest one on disk, and would refuse a controller that was set
 * up anew and began at 1 for ever. In seconds, so that fence × 1,000,000 + step stays a safe integer.
 */
function secondsOf(at: Date): number {
  return Math.floor(at.getTime() / 1000);
}

export function newGateway(address: GatewayAddress): GatewayRecord {
  const state = {
    name: address.name,
    acknowledged: 0,
    acknowledgedAt: null,
    problem: null,
    problemSince: null,
  };
  return { address, state };
}

export function refuseDuplicates(field: string, list: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  const twice = list
    .map(({ name }) => name)
    .filter((name) => {
      const known = seen.has(name);
      seen.add(name);
      return known;
    });
  if (twice.length > 0) {
    throw new ChangeoverError('InvalidRequest', `${field}: ${twice.join(', ')} is there more than once.`);
  }
}

function refuseOtherServers(known: ServiceState, definition: ServiceDefinition): void {
  const identity = ({ servers }: ServiceDefinition): string =>
    servers
      .map(({ name, cluster, url }) => `${name} (${cluster}, ${url})`)
      .sort()
      .join(', ');
  const has = identity(known.definition);
  const given = identity(definition);
  if (has === given) return;
  throw new ChangeoverError(
    'InvalidRequest',
    `servers: ${known.service} is managed with ${has}; it cannot be taken over with ${given}.`,
  );
}

/** What is in effect, however it came to be so, against what is given now. */
function differencesOf(
  { active, gateways }: ServiceState,
  definition: ServiceDefinition,
): NonNullable<AdoptAnswer['differing']> {
  const byName = (list: readonly GatewayAddress[]) => new Map(list.map((one) => [one.name, one]));
  const same = {
    release: active.mainRelease === definition.release,
    gateways: isDeepStrictEqual(byName(gateways.map(({ address }) => address)), byName(definition.gateways)),
    measure: isDeepStrictEqual(active.measure, definition.measure),
    transactions: isDeepStrictEqual(active.transactions, definition.transactions),
  };
  const fields = ['release', 'gateways', 'measure', 'transactions'] as const;
  return fields.filter((field) => !same[field]);
}

/** The answer of `GET /v1/services/:service`. */
export function statusOf(state: ServiceState) {
  return {
    service: state.service,
    lock: state.lock,
    active: state.active,
    ...(state.activeSince === undefined ? {} : { activeSince: state.activeSince }),
    staged: state.staged === null || state.staged.inEffect ? null : state.staged.table,
    gateways: state.gateways.map((gateway) => gateway.state),
    ready: Object.fromEntries(
      Object.entries(state.ready).map(([server, { release, at }]) => [server, { release, at }]),
    ),
  };
}
