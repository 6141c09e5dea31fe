import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ChangeoverError } from './domain/errors.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** Secrets, each of which may also be named by a file in `<NAME>_FILE` (Docker and systemd hand them over so). */
const SECRETS = [
  'CHANGEOVER_CONTROLLER_TOKEN',
  'CHANGEOVER_AGENT_TOKEN',
  'CHANGEOVER_GATEWAY_TOKEN',
] as const;

const token = z
  .string()
  .min(16, 'must have at least 16 characters')
  .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces')
  .optional();

const environmentSchema = z.object({
  TEMPORAL_ADDRESS: z
    .string()
    .regex(/^[^\s/]+:\d{1,5}$/, 'must be host:port, such as 127.0.0.1:7233')
    .default('127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  CHANGEOVER_CONTROLLER_URL: z
    .url({ protocol: /^https?$/, error: 'must be a URL, such as http://127.0.0.1:7400' })
    .default('http://127.0.0.1:7400'),
  CHANGEOVER_CONTROLLER_TOKEN: token,
  CHANGEOVER_AGENT_TOKEN: token,
  CHANGEOVER_GATEWAY_TOKEN: token,
  CHANGEOVER_REPORT_DIR: z.string().optional(),
  CHANGEOVER_METRICS_HOSTS: z
    .string()
    .regex(
      /^[^\s,/@]+(,[^\s,/@]+)*$/,
      'must be hosts separated by commas, such as prometheus:9090,metrics.internal',
    )
    .optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('info'),
});

/** What the environment says, checked. TLS and API key of Temporal are read by the one that connects (`temporal.ts`). */
export interface Config {
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly controller: { readonly url: string; readonly token?: string };
  /** Bearer token of the server agents. */
  readonly agentToken?: string;
  /** Bearer token of the gateways' admin API. */
  readonly gatewayToken?: string;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** Folder for the reports of finished upgrades; absent: they are kept in the workflow's result only. */
  readonly reportDir?: string;
  /** Hosts (`host` or `host:port`) whose metrics may be read by http and at private addresses; absent: none. */
  readonly metricsHosts?: readonly string[];
}

/**
 * Environment → configuration. An empty variable counts as absent.
 *
 * @throws ChangeoverError `InvalidRequest` that names every variable that is wrong, at once; secrets are not repeated
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const problems: string[] = [];
  for (const name of SECRETS) {
    const secret = secretFromFile(name, given, problems);
    if (secret !== undefined) given[name] = secret;
  }
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => describe(issue, given)));
  if (!parsed.success || problems.length > 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      ['The environment is not usable:', ...problems.map((problem) => `  - ${problem}`)].join('\n'),
      { details: problems },
    );
  }
  const values = parsed.data;
  return {
    temporal: { address: values.TEMPORAL_ADDRESS, namespace: values.TEMPORAL_NAMESPACE },
    controller: {
      url: values.CHANGEOVER_CONTROLLER_URL.replace(/\/+$/, ''),
      ...optional('token', values.CHANGEOVER_CONTROLLER_TOKEN),
    },
    ...optional('agentToken', values.CHANGEOVER_AGENT_TOKEN),
    ...optional('gatewayToken', values.CHANGEOVER_GATEWAY_TOKEN),
    logLevel: values.LOG_LEVEL,
    ...optional('reportDir', values.CHANGEOVER_REPORT_DIR),
    ...(values.CHANGEOVER_METRICS_HOSTS === undefined
      ? {}
      : { metricsHosts: values.CHANGEOVER_METRICS_HOSTS.split(',') }),
  };
}

function secretFromFile(name: string, given: NodeJS.ProcessEnv, problems: string[]): string | undefined {
  const file = given[`${name}_FILE`];
  if (file === undefined) return undefined;
  if (given[name] !== undefined) {
    problems.push(`${name} and ${name}_FILE are both set: leave one of them out.`);
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    problems.push(`${name}_FILE names ${file}, which cannot be read: ${String(error)}`);
    return undefined;
  }
}

function describe(issue: z.core.$ZodIssue, given: NodeJS.ProcessEnv): string {
  const name = String(issue.path[0]);
  const held = name.endsWith('_TOKEN') ? '' : `, it holds "${given[name] ?? ''}"`;
  return `${name} ${issue.message}${held}.`;
}

function optional<Key extends string>(key: Key, value: string | undefined): Partial<Record<Key, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, string>);
}
