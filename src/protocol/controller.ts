import { z } from 'zod';
import { ACKNOWLEDGED_BY, type GatewayStanding } from '../domain/gateway-standing.ts';
import type { Block } from '../domain/decision/block.ts';
import type { GuardrailRules } from '../domain/guardrails.ts';
import type { GuardrailNotice } from '../domain/upgrade/results.ts';
import { GATEWAY_KINDS } from '../domain/routes/table.ts';
import {
  measureRulesSchema,
  routeServerSchema,
  routeTableSchema,
  transactionRuleSchema,
  transitionSchema,
} from './routes.ts';
import { gatewayServerSchema, trafficCountSchema } from './gateway.ts';

/**
 * API of the flow controller. All below `/v1/services/:service`:
 *
 * | call | what it does |
 * |---|---|
 * | `PUT /` ServiceDefinition → AdoptAnswer | takes a service under management: first table, every server open. Idempotent; refused once it exists with other servers, or while locked |
 * | `GET /` → ServiceStatus | lock, versions, staged table, gateways with what they acknowledged, readiness reports |
 * | `POST /lock` LockRequest → LockAnswer | takes the lock, or confirms it to its holder, and adds new gateways; 409 `ServiceLocked` names the holder, 409 `PreflightFailed` gateways that are left out |
 * | `DELETE /lock` ReleaseRequest → 204 | releases it; idempotent. `by`: an operator did it, for the log |
 * | `DELETE /gateways/:name?by=NAME` → 204 | forgets a gateway that is gone for good; refused while locked (409), and for the only one |
 * | `POST /gateways/:name/exclude` ExcludeRequest → 204 | the holder declares a gateway gone: nobody waits for it until it is back; 409 `GatewayAnswers` where it is not gone |
 * | `POST /routes/check` CheckRequest → CheckAnswer | asks every gateway whether it could execute the active table with these transitions; nothing changes |
 * | `POST /routes/stage` StageRequest → RoutesAnswer | prepares a table; not in effect |
 * | `POST /routes/activate` ActivateRequest → RoutesAnswer | makes staged (or given) transitions active and publishes them |
 * | `POST /routes/publish` → PublishAnswer | pushes the active table to every gateway that has not acknowledged it, waits for all pushes |
 * | `GET /routes` | active table; ETag is `"<version>"`; with `If-None-Match` and `?waitMs=` it answers once newer, or 304. `?gateway=` and `?has=` acknowledge what the caller executes |
 * | `POST /routes/ack` RoutesAck → 204 | a gateway that pulled says which version it executes |
 * | `POST /gateways/:name/stats` GatewayStats → 204 | a gateway that nobody can read says what it counted and what is in flight |
 * | `POST /ready` ReadyReport → 204 | a server group reports that it can take traffic |
 * | `GET /load?server=a&server=b` → LoadAnswer | in-flight business on these servers, asked of every gateway now |
 * | `POST /load` LoadRequest → LoadAnswer | the same for any number of servers: an address holds about a thousand names |
 * | `GET /traffic` → TrafficAnswer | the observatory: counters over all gateways since the service was adopted |
 * | `GET /blocks?trial=ID&after=N` → BlocksAnswer | reads the gateways, closes the block that is open, and answers those numbered above N: idempotent, for they are kept |
 * | `PUT /guardrails` GuardrailsRequest → 204 | arms (or with no rules disarms) the guardrails; the controller pulls by itself |
 *
 * Also `GET /health` and `GET /metrics` (Prometheus) at the root.
 */

/** Fence: from LockAnswer. Step: grows within one upgrade; the same (fence, step) twice has the effect of once. */
export const fencedSchema = z.strictObject({ fence: z.int().positive(), step: z.int().nonnegative() });
export type Fenced = z.infer<typeof fencedSchema>;

export const gatewayAddressSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(GATEWAY_KINDS),
  admin: z.url(),
});
export type GatewayAddress = z.infer<typeof gatewayAddressSchema>;

export const serviceDefinitionSchema = z.strictObject({
  release: z.string(),
  servers: z.array(routeServerSchema.omit({ release: true, ingress: true })).min(1),
  gateways: z.array(gatewayAddressSchema).min(1),
  measure: measureRulesSchema,
  transactions: transactionRuleSchema.nullable(),
});
export type ServiceDefinition = z.infer<typeof serviceDefinitionSchema>;

export const lockRequestSchema = z.strictObject({
  upgradeId: z.string().min(1),
  gateways: z.array(gatewayAddressSchema).min(1),
});
export const lockAnswerSchema = z.object({ fence: z.int().positive() });

/** Who does it, for the controller's log. */
export const byQuerySchema = z.object({ by: z.string().min(1).max(200) });

export const releaseRequestSchema = fencedSchema.extend({ by: z.string().min(1).max(200).exactOptional() });

const text = z.string().trim().min(1);
export const excludeRequestSchema = fencedSchema.extend({ by: text.max(200), reason: text.max(2_000) });

export const checkRequestSchema = z.strictObject({ transitions: z.array(transitionSchema) });
export const checkAnswerSchema = z.object({
  /** Every gateway but excluded ones; `problem` null: it could execute the table. */
  gateways: z.array(z.object({ gateway: z.string(), problem: z.string().nullable() })),
});
export type CheckAnswer = z.infer<typeof checkAnswerSchema>;

export const stageRequestSchema = fencedSchema.extend({ transitions: z.array(transitionSchema).min(1) });
/** Without `transitions` it activates what was staged last. */
export const activateRequestSchema = fencedSchema.extend({
  transitions: z.array(transitionSchema).min(1).exactOptional(),
});

export const routesAnswerSchema = z.object({ version: z.int().positive() });

export const adoptAnswerSchema = routesAnswerSchema.extend({
  /** False: it was under management already, and nothing changed. */
  created: z.boolean().optional(),
  /** What is otherwise in the controller than in the given definition, and stays as it is. */
  differing: z.array(z.enum(['release', 'gateways', 'measure', 'transactions'])).optional(),
});
export type AdoptAnswer = z.infer<typeof adoptAnswerSchema>;

export const gatewayStateSchema = z.object({
  name: z.string(),
  /** Version acknowledged last, however it got it; 0 for none. */
  acknowledged: z.int().nonnegative(),
  acknowledgedAt: z.string().nullable(),
  acknowledgedBy: z.enum(ACKNOWLEDGED_BY).exactOptional(),
  /** Why the last push failed; null where it did not. */
  problem: z.string().nullable(),
  problemSince: z.string().nullable(),
  /** An operator declared it gone; nobody waits for it. */
  excluded: z
    .object({ by: z.string(), at: z.string(), reason: z.string(), upgradeId: z.string() })
    .exactOptional(),
}) satisfies z.ZodType<GatewayStanding>;
export type GatewayState = z.infer<typeof gatewayStateSchema>;

export const publishAnswerSchema = z.object({
  version: z.int().positive(),
  /** When that version became active. */
  since: z.string().exactOptional(),
  gateways: z.array(gatewayStateSchema),
});
export type PublishAnswer = z.infer<typeof publishAnswerSchema>;

export const readyReportSchema = fencedSchema.extend({
  release: z.string(),
  servers: z.array(z.string()).min(1),
});

export const serviceStatusSchema = z.object({
  service: z.string(),
  lock: z.object({ upgradeId: z.string(), fence: z.int(), since: z.string() }).nullable(),
  active: routeTableSchema,
  activeSince: z.string().exactOptional(),
  staged: routeTableSchema.nullable(),
  gateways: z.array(gatewayStateSchema),
  /** Server → what it reported last. */
  ready: z.record(z.string(), z.object({ release: z.string(), at: z.string() })),
});
export type ServiceStatus = z.infer<typeof serviceStatusSchema>;

export const loadRequestSchema = z.strictObject({ servers: z.array(z.string()).min(1) });

export const loadAnswerSchema = z.object({
  /** One entry a gateway; `servers` only those asked for. A gateway that does not answer makes the call fail (503). */
  gateways: z.array(
    z.object({ gateway: z.string(), tableVersion: z.int(), servers: z.array(gatewayServerSchema) }),
  ),
  /** Gateways that were declared gone: what they had is not contained. */
  excluded: z.array(z.string()).exactOptional(),
});
export type LoadAnswer = z.infer<typeof loadAnswerSchema>;

/** A candidate that the controller pulled by itself. */
export const pullSchema = z.object({
  release: z.string(),
  at: z.string(),
  reason: z.string(),
  tableVersion: z.int(),
});
export type Pull = z.infer<typeof pullSchema>;

/** The baseline breaks a guardrail as well: it is the environment, and nobody is pulled for it. */
export const incidentSchema = z.object({ reason: z.string(), since: z.string() });
export type Incident = z.infer<typeof incidentSchema>;

/** A candidate that guardrails cannot judge just now; no pass, and no breach. */
export const guardrailNoticeSchema = z.object({
  release: z.string(),
  kind: z.enum(['noData', 'stuck']),
  reason: z.string(),
}) satisfies z.ZodType<GuardrailNotice>;

export const trafficAnswerSchema = z.object({
  service: z.string(),
  at: z.string(),
  tableVersion: z.int(),
  /** Totals over all gateways, conserved over their restarts as far as they were read before. */
  counts: z.array(trafficCountSchema),
  /** Gateways that could not be read this time; their last known counts are contained in the totals. */
  unread: z.array(z.string()),
  pulls: z.array(pullSchema),
  /** Under way now; shares are not to be changed meanwhile. Absent: none. */
  incident: incidentSchema.exactOptional(),
  /** Absent: none. */
  notices: z.array(guardrailNoticeSchema).exactOptional(),
});
export type TrafficAnswer = z.infer<typeof trafficAnswerSchema>;

const armCountsSchema = z.object({
  n: z.number(),
  sum: z.number(),
  squares: z.number().exactOptional(),
  uncapped: z.number().exactOptional(),
  passed: z.number().exactOptional(),
});
/** A block of src/domain/decision/block.ts, numbered from 1 within its trial. */
export const numberedBlockSchema = z.object({
  number: z.int().positive(),
  fromMs: z.number(),
  toMs: z.number(),
  tableVersion: z.int().exactOptional(),
  epochs: z.record(z.string(), z.string()).exactOptional(),
  shares: z.record(z.string(), z.number()).exactOptional(),
  sharesByGroup: z.record(z.string(), z.record(z.string(), z.number())).exactOptional(),
  groups: z.record(z.string(), z.record(z.string(), armCountsSchema)),
}) satisfies z.ZodType<Block & { number: number }>;
export type NumberedBlock = z.infer<typeof numberedBlockSchema>;

export const blocksAnswerSchema = z.object({
  trial: z.string(),
  /** Blocks numbered above `after`, in order. */
  blocks: z.array(numberedBlockSchema),
  /** Gateways that could not be read this time; what they counted since comes in a later block. */
  unread: z.array(z.string()),
  pending: z.int().nonnegative(),
  beyond: z.int().nonnegative(),
});
export type BlocksAnswer = z.infer<typeof blocksAnswerSchema>;

const minRequests = z.int().positive().exactOptional();
export const guardrailsSchema = z.strictObject({
  /** Share (0..1) of requests that end in 5xx or without an answer. */
  errorRate: z.strictObject({ max: z.number().min(0).max(1), minRequests }).exactOptional(),
  /** Share (0..1) of requests slower than the table's `slowMs`. */
  slow: z.strictObject({ maxShare: z.number().min(0).max(1), minRequests }).exactOptional(),
  errorsAgainstBaseline: z.strictObject({ times: z.number().min(1) }).exactOptional(),
  lossBudget: z.number().positive().exactOptional(),
  noDataMs: z.number().positive().exactOptional(),
  alpha: z.number().gt(0).lt(1).exactOptional(),
}) satisfies z.ZodType<GuardrailRules>;
export type Guardrails = z.infer<typeof guardrailsSchema>;

/** `releases` are the candidates that may be pulled; counted from the moment of arming. Empty: disarmed. */
export const guardrailsRequestSchema = fencedSchema.extend({
  releases: z.array(z.string()),
  guardrails: guardrailsSchema,
});
