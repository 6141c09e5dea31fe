import { z } from 'zod';
import { parseDurationMs } from '../duration.ts';
import { VOLUME_KINDS } from '../measure.ts';
import { OS_TYPES } from '../upgrade-params.ts';

/** The plan as a person writes it (input) and as everything else reads it (output: defaults filled in, units in names). */

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const nameSchema = z
  .string()
  .regex(NAME, 'must be a name: lower-case letters, digits and dashes, at most 63 characters');
const versionSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/, 'must be a version such as 1.4 or 2.0-a: letters, digits and . _ + -');

const durationSchema = z
  .string()
  .refine((text) => parseDurationMs(text) !== undefined, 'must be a duration such as 90s, 10m or 1h')
  .transform((text) => parseDurationMs(text) ?? 0);

/** `5%` or `0.05` → 0.05. */
const shareSchema = z
  .union([z.string().regex(/^\d+(\.\d+)?%$/, 'must be a share such as 5% or 0.05'), z.number()])
  .transform((value) => (typeof value === 'number' ? value : Number(value.slice(0, -1)) / 100))
  .refine((value) => value >= 0 && value <= 1, 'must be a share from 0% to 100%');

const httpUrlSchema = z.url({ protocol: /^https?$/, error: 'must be an http or https address such as http://10.0.0.1:8080' });

const packageSchema = z.strictObject({
  os: z.enum(OS_TYPES).default('linux'),
  path: z.string().min(1).describe('Folder, or http(s) base address, under which the file is found, as seen from the servers'),
  fileName: z.string().regex(/^[^/\\]+$/, 'must be a file name without folders'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 checksum: 64 lower-case hex digits'),
});

const serverSchema = z.strictObject({
  name: nameSchema,
  url: httpUrlSchema.describe('Where gateways send requests'),
  agent: httpUrlSchema.describe("Address of the server's agent"),
  os: z.enum(OS_TYPES).default('linux'),
});

const drainSchema = z
  .strictObject({
    manner: z.enum(['together', 'rolling']).default('together'),
    batch: z.int().positive().default(1).describe('Servers taken at once when rolling'),
    deadline: durationSchema.prefault('10m'),
    atDeadline: z.enum(['wait', 'pause', 'force']).default('pause'),
  })
  .transform(({ deadline, batch, ...rest }) => ({ ...rest, batchSize: batch, deadlineMs: deadline }));

const clusterSchema = z.strictObject({
  servers: z.array(serverSchema).min(1, 'must have at least one server'),
  drain: drainSchema.exactOptional(),
  capacity: z.number().positive().exactOptional().describe('Requests per second that one server of this cluster can carry'),
});

const lookup = { lookup: z.string().min(1).exactOptional() };
const keySchema = z.discriminatedUnion('from', [
  z.strictObject({ from: z.literal('header'), name: z.string().min(1), ...lookup }),
  z.strictObject({ from: z.literal('cookie'), name: z.string().min(1), ...lookup }),
  z.strictObject({ from: z.literal('query'), name: z.string().min(1), ...lookup }),
  z.strictObject({ from: z.literal('path'), segment: z.int().positive(), ...lookup }),
]);

const otherwise = { otherwise: versionSchema.exactOptional() };
const policySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tail'),
    rules: z
      .array(
        z.strictObject({
          tail: z.union([z.enum(['odd', 'even']), z.array(z.int().min(0).max(9)).min(1)]),
          to: versionSchema,
        }),
      )
      .min(1),
    ...otherwise,
  }),
  z.strictObject({
    kind: z.literal('range'),
    rules: z
      .array(z.strictObject({ from: z.number().exactOptional(), below: z.number().exactOptional(), to: versionSchema }))
      .min(1),
    ...otherwise,
  }),
  z.strictObject({
    kind: z.literal('values'),
    rules: z.array(z.strictObject({ values: z.array(z.string().min(1)).min(1), to: versionSchema })).min(1),
    ...otherwise,
  }),
  z.strictObject({
    kind: z.literal('hash'),
    salt: z.string().min(1).default('changeover'),
    weights: z.record(versionSchema, z.number().nonnegative()),
  }),
]);

const transactionsSchema = z
  .strictObject({
    id: z.strictObject({ from: z.enum(['header', 'cookie']), name: z.string().min(1) }),
    idle: durationSchema.prefault('5m'),
    endHeader: z.string().toLowerCase().exactOptional(),
  })
  .transform(({ idle, ...rest }) => ({ ...rest, idleMs: idle }));

const methodSchema = z.string().regex(/^[A-Z]+$/, 'must be a method in capitals such as POST');
const pathSchema = z.string().regex(/^\/[^?#]*$/, 'must be a path such as /buy or /buy/*');
const matchSchema = z.strictObject({
  method: methodSchema.exactOptional(),
  path: pathSchema.exactOptional(),
  status: z
    .string()
    .regex(/^[1-5](xx|\d\d)$/, 'must be a status such as 201, or a class such as 2xx')
    .exactOptional(),
  header: z.strictObject({ name: z.string().toLowerCase(), value: z.string().exactOptional() }).exactOptional(),
});

const measureSchema = z
  .strictObject({
    allocated: z
      .strictObject({ method: methodSchema.exactOptional(), path: pathSchema.exactOptional() })
      .prefault({})
      .describe('Requests that count as allocated traffic; all of them by default'),
    volume: z.strictObject({
      kind: z.enum(VOLUME_KINDS),
      match: matchSchema.prefault({}),
      amountHeader: z.string().toLowerCase().exactOptional(),
    }),
    slow: durationSchema.prefault('1s').describe('A response that takes longer counts as slow'),
  })
  .transform(({ slow, ...rest }) => ({ ...rest, slowMs: slow }));

const stageSchema = z
  .strictObject({ share: shareSchema, length: durationSchema })
  .transform(({ share, length }) => ({ share, lengthMs: length }));

const trialSchema = z
  .strictObject({
    stages: z
      .array(stageSchema)
      .min(1)
      .prefault([
        { share: '5%', length: '10m' },
        { share: '25%', length: '20m' },
        { share: '100%', length: '1h' },
      ]),
    readEvery: durationSchema.prefault('30s'),
    minSamples: z.int().positive().default(200).describe('Allocated requests that every version needs before a decision'),
    baselineShare: shareSchema.prefault('0%').describe('Share of every candidate’s keys that stays on the baseline to the end'),
  })
  .transform(({ readEvery, ...rest }) => ({ ...rest, readEveryMs: readEvery }));

const guardrailsSchema = z.strictObject({
  errorRate: z
    .strictObject({ max: shareSchema, minRequests: z.int().positive().default(50) })
    .prefault({ max: '5%' })
    .describe('A candidate whose share of errors is greater is pulled during the trial'),
  slow: z.strictObject({ maxShare: shareSchema, minRequests: z.int().positive().default(50) }).exactOptional(),
});

/** One schema for YAML and JSON; `io: 'input'` of it is the JSON Schema for editors. */
export const planSchema = z.strictObject({
  service: nameSchema,
  baseline: z.strictObject({
    version: versionSchema,
    cluster: nameSchema,
    packages: z.array(packageSchema).min(1).describe('The package that runs today: rollback needs it'),
  }),
  candidates: z
    .array(z.strictObject({ version: versionSchema, mode: nameSchema, packages: z.array(packageSchema).min(1) }))
    .min(1),
  deployment: z.record(nameSchema, nameSchema).describe('Business-processing mode → candidate cluster'),
  clusters: z.record(nameSchema, clusterSchema),
  gateways: z
    .array(z.strictObject({ name: nameSchema, kind: z.enum(['embedded']).default('embedded'), admin: httpUrlSchema }))
    .min(1),
  drain: drainSchema.prefault({}),
  traffic: z.strictObject({
    key: keySchema,
    policy: policySchema,
    withoutKey: versionSchema.exactOptional().describe('Version for requests without a key; the baseline by default'),
    transactions: transactionsSchema.exactOptional(),
  }),
  trial: trialSchema.prefault({}),
  measure: measureSchema,
  decision: z.strictObject({ rule: z.enum(['max-efficacy']).default('max-efficacy') }).prefault({}),
  guardrails: guardrailsSchema.prefault({}),
  approval: z.enum(['required', 'automatic']).default('required'),
  promotion: z
    .strictObject({
      batch: z.int().positive().exactOptional().describe('Servers changed at once; by default a third of the cluster'),
    })
    .prefault({}),
  minServing: z
    .int()
    .positive()
    .exactOptional()
    .describe('Servers that can carry all business; by default as many as the smallest cluster has'),
});

/** The plan as a person writes it. */
export type PlanInput = z.input<typeof planSchema>;
/** The plan as the product reads it. */
export type Plan = z.output<typeof planSchema>;
export type PlanServer = Plan['clusters'][string]['servers'][number];
export type Drain = Plan['drain'];
