import { z } from 'zod';
import { OS_TYPES } from '../upgrade-params.ts';
import { GATEWAY_KINDS } from '../routes/table.ts';
import { decisionSchema } from './decision-schema.ts';
import { addressSchema, durationSchema, nameSchema, shareSchema, versionSchema } from './scalars.ts';
import { measureSchema, trafficSchema } from './traffic-schema.ts';

/**
 * The plan as a person writes it (input) and as everything else reads it (output: defaults filled in, units in names).
 * Descriptions are what an editor shows; what one field alone cannot say is in checks.ts.
 */

const packageSchema = z
  .strictObject({
    os: z.enum(OS_TYPES).default('linux').describe('OS type of the servers that the package is for'),
    path: z
      .string()
      .min(1, 'must be a folder, or an http(s) address')
      .describe('Folder, or http(s) base address, under which the file is found, as seen from the servers'),
    fileName: z
      .string()
      .regex(/^(?!\.{1,2}$)[^/\\]{1,255}$/, 'must be a file name without folders')
      .describe('Name of the package file, such as wealth-2.0-a.tgz'),
    sha256: z
      .string('must be the SHA-256 checksum of the package: run `sha256sum FILE` and paste the 64 hex digits')
      .regex(
        /^[0-9a-fA-F]{64}$/,
        'must be a SHA-256 checksum, 64 hex digits: run `sha256sum FILE` and paste the first column',
      )
      .toLowerCase()
      .describe('SHA-256 of the package file: `sha256sum FILE`'),
  })
  .meta({ title: 'Package' });

const serverSchema = z
  .strictObject({
    name: nameSchema.describe('Name of the server, unique in the plan'),
    url: addressSchema.describe('Where gateways send requests, such as http://10.0.0.1:8080'),
    agent: addressSchema.describe("Address of the server's agent, such as http://10.0.0.1:7070"),
    os: z.enum(OS_TYPES).default('linux').describe('OS type of the server'),
  })
  .meta({ title: 'Server' });

const drainSchema = z
  .strictObject({
    manner: z
      .enum(['together', 'rolling'])
      .default('together')
      .describe('together: the whole cluster leaves traffic at once; rolling: server by server, in batches'),
    batch: z.int().positive().default(1).describe('Servers taken at once when rolling'),
    deadline: durationSchema
      .prefault('10m')
      .describe('How long a drain may take before `atDeadline` applies'),
    atDeadline: z
      .enum(['wait', 'pause', 'force'])
      .default('pause')
      .describe(
        'wait: keep waiting; pause: ask the operator; force: go on and cut what is left (loses business)',
      ),
  })
  .transform(({ deadline, batch, ...rest }) => ({ ...rest, batchSize: batch, deadlineMs: deadline }));

const clusterSchema = z
  .strictObject({
    servers: z.array(serverSchema).min(1, 'must have at least one server'),
    drain: drainSchema
      .exactOptional()
      .describe('How this cluster drains, instead of what `drain` says for all'),
    capacity: z
      .number()
      .positive()
      .exactOptional()
      .describe('Requests per second that one server of this cluster can carry'),
  })
  .meta({ title: 'Cluster' });

const stageSchema = z
  .strictObject({
    share: shareSchema.describe('Share of the keys allotted to a candidate that really go there'),
    length: durationSchema.describe('How long the stage lasts'),
  })
  .transform(({ share, length }) => ({ share, lengthMs: length }));

/** Stages, readings, samples. */
export const trialSchema = z
  .strictObject({
    stages: z
      .array(stageSchema)
      .min(1, 'must have at least one stage')
      .prefault([
        { share: '5%', length: '10m' },
        { share: '25%', length: '20m' },
        { share: '100%', length: '1h' },
      ])
      .describe('Each stage draws a greater share of traffic than the one before'),
    readEvery: durationSchema.prefault('30s').describe('How often efficacy is read'),
    minSamples: z
      .int()
      .positive()
      .default(200)
      .describe('Allocated requests that every version needs before a decision'),
    baselineShare: shareSchema
      .prefault('0%')
      .describe('Share of every candidate’s keys that stays on the baseline to the end, to compare with'),
  })
  .transform(({ readEvery, ...rest }) => ({ ...rest, readEveryMs: readEvery }));

const minRequests = z
  .int()
  .positive()
  .exactOptional()
  .describe('Requests below which it is not judged; evidence is enough without it');
export const guardrailsSchema = z
  .strictObject({
    errorRate: z
      .strictObject({ max: shareSchema, minRequests })
      .prefault({ max: '5%' })
      .describe('A candidate that shows a greater share of errors is pulled during the trial'),
    slow: z
      .strictObject({ maxShare: shareSchema, minRequests })
      .exactOptional()
      .describe('A candidate that shows a greater share of slow responses (`measure.slow`) is pulled'),
    errorsAgainstBaseline: z
      .strictObject({ times: z.number().min(1, 'must be 1 or more, such as 2') })
      .exactOptional()
      .describe(
        'A candidate that fails more than this many times as often as the baseline is pulled; groups by range or list that are dealt at random are compared one by one, of others it is refused',
      ),
    lossBudget: z
      .number()
      .positive()
      .exactOptional()
      .describe(
        'A candidate that lost about this many transactions (or this amount) against the baseline is pulled, before anything is proved',
      ),
    noData: durationSchema
      .prefault('30s')
      .describe('A candidate of which nothing is heard for this long is told to the operator'),
    alpha: shareSchema
      .refine((alpha) => alpha > 0 && alpha <= 0.1, 'must be above 0% and at most 10%, such as 0.1%')
      .prefault('0.1%')
      .describe('Highest probability that a candidate which keeps a bound is pulled by it'),
  })
  .transform(({ noData, ...rest }) => ({ ...rest, noDataMs: noData }));

/** One schema for YAML and JSON; `io: 'input'` of it is the JSON Schema for editors. */
export const planSchema = z.strictObject({
  service: nameSchema.describe('Name of the service; one upgrade runs per service'),
  baseline: z
    .strictObject({
      version: versionSchema,
      cluster: nameSchema.describe('Cluster that serves everything meanwhile, and is upgraded last'),
      packages: z.array(packageSchema).min(1).describe('The package that runs today: rollback needs it'),
    })
    .describe('The version that serves today'),
  candidates: z
    .array(
      z.strictObject({
        version: versionSchema.describe(
          'Its version; in an A/A test (`decision.aaTest`) the same one on several clusters, told apart as 1.4@blue',
        ),
        mode: nameSchema.describe('Business-processing mode: how this candidate does the business'),
        packages: z.array(packageSchema).min(1).describe('One package per OS type in the fleet'),
      }),
    )
    .min(1, 'must have at least one candidate')
    .describe('The competing new versions, one or more'),
  deployment: z.record(nameSchema, nameSchema).describe('Business-processing mode → candidate cluster'),
  clusters: z.record(nameSchema, clusterSchema).describe('Cluster name → its servers'),
  gateways: z
    .array(
      z.strictObject({
        name: nameSchema,
        kind: z
          .enum(GATEWAY_KINDS)
          .default('embedded')
          .describe(
            'embedded: `changeover gateway`; haproxy: HAProxy with `changeover haproxy serve` beside it',
          ),
        admin: addressSchema.describe('Admin address of the gateway, such as http://10.0.0.9:7080'),
      }),
    )
    .min(1, 'must have at least one gateway')
    .describe('The proxy gateways that route this service'),
  drain: drainSchema.prefault({}).describe('How clusters leave traffic'),
  traffic: trafficSchema.describe('How traffic is drawn to the versions'),
  trial: trialSchema.prefault({}).describe('How the candidates are tried'),
  measure: measureSchema.describe('What counts'),
  decision: decisionSchema.prefault({}).describe('How the winner is chosen'),
  guardrails: guardrailsSchema.prefault({}).describe('What pulls a candidate during the trial'),
  approval: z
    .enum(['required', 'automatic'])
    .default('required')
    .describe('Whether an operator approves the winner before it is promoted'),
  promotion: z
    .strictObject({
      batch: z
        .int()
        .positive()
        .exactOptional()
        .describe('Servers changed at once; by default a third of the cluster'),
    })
    .prefault({})
    .describe('How the other clusters follow the winner'),
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
