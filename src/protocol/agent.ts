import { z } from 'zod';
import { OS_TYPES } from '../domain/upgrade-params.ts';
import { errorBodySchema } from './errors.ts';

/**
 * Wire of the server agent: `GET /v1/status`, `POST /v1/prepare` (PrepareRequest → 204: package fetched, verified and
 * unpacked, nothing that runs touched), `PUT /v1/upgrade` (UpgradeRequest → AgentStatus). With `?waitMs=` status and
 * upgrade are answered once no upgrade is under way, or after that time. JSON over HTTP, optional bearer token.
 */

export const waitQuerySchema = z.object({ waitMs: z.coerce.number().int().min(0).max(30_000).default(0) });

const upgradeParamsSchema = z.strictObject({
  os: z.enum(OS_TYPES),
  path: z.string().min(1),
  fileName: z.string().min(1),
  version: z.string().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export const prepareRequestSchema = z.strictObject({ service: z.string(), params: upgradeParamsSchema });
export type PrepareRequest = z.infer<typeof prepareRequestSchema>;

export const upgradeRequestSchema = z.strictObject({
  /** Names one attempt. Pushed twice, it runs once; after a failure only a new key makes the agent try again. */
  key: z.string().min(1).max(200),
  /** Orders callers: an agent refuses (`Fenced`) whatever is lower than the highest that it has seen, kept on disk. */
  fence: z.int().nonnegative(),
  service: z.string(),
  params: upgradeParamsSchema,
});
export type UpgradeRequest = z.infer<typeof upgradeRequestSchema>;

/** The steps of a local upgrade, in order. */
export const UPGRADE_STEPS = [
  'fetching',
  'verifying',
  'unpacking',
  'stopping',
  'switching',
  'starting',
  'waitingForHealth',
] as const;

export const agentStatusSchema = z.object({
  server: z.string(),
  service: z.string(),
  os: z.enum(OS_TYPES),
  /** Version that really runs now, or null where nothing runs or nobody can say. */
  runningVersion: z.string().nullable(),
  healthy: z.boolean(),
  /** Business in flight on this server as it sees it itself: connections, or what its URL says. */
  inFlight: z.int().nonnegative().nullable(),
  /** Why `inFlight` is null although a count is configured: not "drained". Without it, null: none is configured. */
  inFlightProblem: z.string().optional(),
  upgrade: z
    .object({
      key: z.string(),
      version: z.string(),
      state: z.enum(['running', 'done', 'failed']),
      step: z.enum(UPGRADE_STEPS),
      startedAt: z.string(),
      finishedAt: z.string().optional(),
      error: errorBodySchema.optional(),
      /** What an operator should know although it did not fail, such as that the software had to be killed. */
      notes: z.array(z.string()).optional(),
    })
    .nullable(),
});
export type AgentStatus = z.infer<typeof agentStatusSchema>;
