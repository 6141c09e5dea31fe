import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { PlanProblem } from '../domain/plan/problem.ts';
import { durationSchema, nameSchema } from '../domain/plan/scalars.ts';
import { OS_TYPES, type OsType } from '../domain/upgrade-params.ts';
import { readYamlText } from '../protocol/yaml-text.ts';
import { configProblems, unsafeProblems } from './config-problems.ts';

const httpUrlSchema = z.url({ protocol: /^https?$/, error: 'must be an http or https address' });
const absoluteSchema = z.string().refine(isAbsolute, 'must be an absolute path');
const portSchema = z.int().min(1).max(65_535);
/** An argument vector: it is never given to a shell. */
const argvSchema = z
  .array(z.string(), 'must be a list of strings: the program and its arguments')
  .min(1, 'must name at least the program')
  .refine((argv) => argv[0] !== '', 'must name a program first');

const runSchema = z
  .strictObject({
    command: argvSchema,
    env: z.record(z.string(), z.string()).prefault({}),
    /** Folder in which the command starts, relative to the release. */
    cwd: z
      .string()
      .refine(
        (path) => !isAbsolute(path) && !path.split(/[\\/]/).includes('..'),
        'must be a folder inside the release',
      )
      .default('.'),
    stopGrace: durationSchema.prefault('30s'),
    /** Where the software's output goes; `software.log` in the state folder by default. */
    logFile: absoluteSchema.exactOptional(),
    /** The software ends with the agent. Otherwise it runs on, and the next agent takes it over. */
    stopWithAgent: z.boolean().default(false),
  })
  .transform(({ stopGrace, ...rest }) => ({ ...rest, stopGraceMs: stopGrace }));

const systemdSchema = z
  .strictObject({
    unit: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:_.@-]*$/, 'must be the name of a systemd unit'),
    timeout: durationSchema.prefault('90s'),
  })
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }));

const hooksSchema = z
  .strictObject({
    start: argvSchema,
    stop: argvSchema,
    /** Exit code 0: it runs. */
    status: argvSchema.exactOptional(),
    timeout: durationSchema.prefault('90s'),
  })
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }));

const limitsSchema = z.strictObject({
  maxPackageBytes: z
    .int()
    .positive()
    .default(2 * 1024 ** 3),
  maxUnpackedBytes: z
    .int()
    .positive()
    .default(8 * 1024 ** 3),
  maxEntries: z.int().positive().default(100_000),
  /** Unpacked bytes per packed byte. */
  maxRatio: z.number().positive().default(200),
});
export type ArchiveLimits = z.output<typeof limitsSchema>;

const fieldsSchema = z.strictObject({
  server: nameSchema,
  service: nameSchema,
  os: z.enum(OS_TYPES).default(() => osOfPlatform(process.platform)),
  listen: z.strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    /** 0 lets the system choose. */
    port: z.int().min(0).max(65_535),
  }),
  /** Bearer token that callers have to present, or the environment variable that holds it. */
  token: z
    .union([z.string().min(8), z.strictObject({ env: z.string().min(1) })], {
      error: 'must be a token of at least 8 characters, or {env: NAME}',
    })
    .exactOptional(),
  installDir: absoluteSchema,
  stateDir: absoluteSchema.exactOptional(),
  packageRoots: z
    .array(z.string().refine(isPackageRoot, 'must be an absolute folder, or an http or https address'))
    .min(1, 'must name at least one folder or address from which packages may come'),
  run: runSchema.exactOptional(),
  systemd: systemdSchema.exactOptional(),
  hooks: hooksSchema.exactOptional(),
  health: z
    .strictObject({
      url: httpUrlSchema,
      timeout: durationSchema.prefault('30s'),
      interval: durationSchema.prefault('200ms'),
    })
    .transform(({ timeout, interval, ...rest }) => ({ ...rest, timeoutMs: timeout, intervalMs: interval })),
  inFlight: z
    .union(
      [
        z.strictObject({ connections: z.strictObject({ port: portSchema }) }),
        z.strictObject({ url: httpUrlSchema }),
      ],
      { error: 'must be either {connections: {port: 8080}} or {url: http://…}' },
    )
    .exactOptional(),
  /** Address at which the software itself says which version it is. */
  version: z.strictObject({ url: httpUrlSchema }).exactOptional(),
  limits: limitsSchema.prefault({}),
  keepReleases: z.int().min(1).default(3),
});

const SOFTWARE_KINDS = ['run', 'systemd', 'hooks'] as const;

export const agentConfigSchema = fieldsSchema
  .refine((value) => countSoftware(value) === 1, {
    error:
      'must be there, or systemd or hooks instead: exactly one of the three says how to start and stop the software',
    path: ['run'],
    // Also when other fields are wrong: all errors at once.
    when: () => true,
  })
  .transform(({ run, systemd, hooks, ...rest }) => ({
    ...rest,
    stateDir: rest.stateDir ?? join(rest.installDir, '.agent'),
    software: softwareOf({ run, systemd, hooks }),
  }));

export type AgentConfig = z.output<typeof agentConfigSchema>;
export type AgentConfigInput = z.input<typeof agentConfigSchema>;
export type RunConfig = z.output<typeof runSchema>;
export type SystemdConfig = z.output<typeof systemdSchema>;
export type HooksConfig = z.output<typeof hooksSchema>;
export type SoftwareConfig =
  | ({ readonly kind: 'run' } & RunConfig)
  | ({ readonly kind: 'systemd' } & SystemdConfig)
  | ({ readonly kind: 'hooks' } & HooksConfig);

function countSoftware(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return SOFTWARE_KINDS.filter((kind) => kind in value).length;
}

function softwareOf(given: {
  run: RunConfig | undefined;
  systemd: SystemdConfig | undefined;
  hooks: HooksConfig | undefined;
}): SoftwareConfig {
  if (given.run) return { kind: 'run', ...given.run };
  if (given.systemd) return { kind: 'systemd', ...given.systemd };
  if (given.hooks) return { kind: 'hooks', ...given.hooks };
  throw new ChangeoverError('Internal', 'The configuration says no way to start the software.');
}

function isPackageRoot(root: string): boolean {
  if (isAbsolute(root)) return true;
  return URL.canParse(root) && /^https?:$/.test(new URL(root).protocol);
}

function osOfPlatform(platform: NodeJS.Platform): OsType {
  if (platform === 'win32') return 'windows';
  return platform === 'darwin' ? 'darwin' : 'linux';
}

/**
 * Reads the agent's configuration file (YAML 1.2 or JSON).
 *
 * @throws ChangeoverError `InvalidPlan` that lists everything that is wrong: field, what it held, what it may hold.
 */
export async function loadAgentConfig(path: string): Promise<AgentConfig> {
  const raw = await readYaml(path);
  const unsafe = unsafeProblems(raw);
  if (unsafe.length > 0) throw invalidConfig(path, unsafe);
  const result = agentConfigSchema.safeParse(raw);
  if (result.success) return result.data;
  throw invalidConfig(path, configProblems(result.error, { raw, schema: fieldsSchema }));
}

function invalidConfig(path: string, problems: readonly PlanProblem[]): ChangeoverError {
  const lines = problems.map(
    ({ field, held, message, suggestion }) =>
      `${field} held ${held}; it ${message}.${suggestion === undefined ? '' : ` Did you mean ${suggestion}?`}`,
  );
  const text = [`${path} is not a valid agent configuration:`, ...lines].join('\n  - ');
  return new ChangeoverError('InvalidPlan', text, { details: { problems } });
}

async function readYaml(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChangeoverError('InvalidPlan', `The agent configuration cannot be read: ${reason}.`, { cause });
  }
  const yaml = readYamlText(text);
  if (yaml.ok) return yaml.data;
  throw new ChangeoverError('InvalidPlan', `${path} cannot be read: ${yaml.faults.join('; ')}`);
}
