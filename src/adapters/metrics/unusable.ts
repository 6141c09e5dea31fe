import { ChangeoverError } from '../../domain/errors.ts';

/**
 * What a source delivers wrongly is named and never counted.
 *
 * @param source as messages name it, such as `Prometheus http://prometheus:9090`
 * @param why what it held and what it may hold, a sentence without its full stop
 */
export function unusable(source: string, why: string, cause?: unknown): ChangeoverError {
  return new ChangeoverError(
    'MetricsUnusable',
    `${source} cannot be used: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}

/** The value of the environment variable that a plan names; errors repeat the name alone. */
export function secretOf(source: string, env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') {
    throw unusable(
      source,
      `the plan names the environment variable ${name}, which is not set for this worker`,
    );
  }
  return value;
}

/** A plan's request headers with their values, which are read now. @throws ChangeoverError as `secretOf` does */
export function headersOf(
  source: string,
  env: NodeJS.ProcessEnv,
  headers: Readonly<Record<string, { readonly env: string }>> = {},
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, { env: from }]) => [name, secretOf(source, env, from)]),
  );
}
