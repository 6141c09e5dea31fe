import { z } from 'zod';
import { fetchJson, type Reach } from './fetch-json.ts';
import { unusable } from './unusable.ts';

/** The two calls of Prometheus's HTTP API that are needed: https://prometheus.io/docs/prometheus/2.42/querying/api/ */

const labels = z.record(z.string(), z.string());
const sample = z.tuple([z.number(), z.string()]);
const answerSchema = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('success'),
    warnings: z.array(z.string()).optional(),
    data: z.discriminatedUnion('resultType', [
      z.object({
        resultType: z.literal('matrix'),
        result: z.array(z.object({ metric: labels, values: z.array(sample).default([]) })),
      }),
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ metric: labels, value: sample })),
      }),
      z.object({ resultType: z.enum(['scalar', 'string']), result: z.unknown() }),
    ]),
  }),
  z.object({ status: z.literal('error'), errorType: z.string(), error: z.string() }),
]);

/** A series: its labels, and values at moments in milliseconds. NaN and infinities are values to Prometheus. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly { readonly atMs: number; readonly value: number }[];
}

export interface PrometheusApi {
  /** The query at moments from `startMs` to `endMs`, `stepMs` apart. Moments in milliseconds since 1970. */
  range(
    query: string,
    span: { startMs: number; endMs: number; stepMs: number },
    signal: AbortSignal | undefined,
  ): Promise<readonly Series[]>;
  /** The query at one moment. */
  instant(query: string, atMs: number, signal: AbortSignal | undefined): Promise<readonly Series[]>;
}

/** @throws ChangeoverError `MetricsUnusable` by its calls: no answer, an error of Prometheus, an incomplete answer. */
export function createPrometheusApi(
  options: Reach & {
    readonly url: string;
    readonly source: string;
    readonly headers: () => Record<string, string>;
  },
): PrometheusApi {
  const { url, source, headers, allowedHosts } = options;
  const call = async (
    path: string,
    fields: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<readonly Series[]> => {
    const { body } = await fetchJson({
      source,
      url: new URL(`${url.replace(/\/+$/, '')}${path}`),
      headers: headers(),
      form: new URLSearchParams(fields),
      allowedHosts,
      signal,
      // Prometheus says in JSON what is wrong with a query.
      alsoRead: [400, 422, 503],
    });
    const parsed = answerSchema.safeParse(body);
    if (!parsed.success) throw unusable(source, 'its answer is not one of Prometheus’s HTTP API');
    const answer = parsed.data;
    const query = fields.query ?? '';
    if (answer.status === 'error') {
      throw unusable(source, `it refused the query ${query}: ${answer.error.slice(0, 300)}`);
    }
    const [warning] = answer.warnings ?? [];
    if (warning !== undefined) {
      throw unusable(
        source,
        `it answered the query ${query} with a warning, so it may be incomplete: ${warning.slice(0, 300)}`,
      );
    }
    const { data } = answer;
    const point = ([atSeconds, value]: z.output<typeof sample>) => ({
      atMs: Math.round(atSeconds * 1000),
      value: numberOf(value),
    });
    switch (data.resultType) {
      case 'matrix':
        return data.result.map(({ metric, values }) => ({ labels: metric, points: values.map(point) }));
      case 'vector':
        return data.result.map(({ metric, value }) => ({ labels: metric, points: [point(value)] }));
      case 'scalar':
      case 'string':
        throw unusable(
          source,
          `the query ${query} gives a ${data.resultType}, and must give one series per version`,
        );
    }
  };
  const seconds = (ms: number): string => (ms / 1000).toFixed(3);
  return {
    range: (query, { startMs, endMs, stepMs }, signal) =>
      call(
        '/api/v1/query_range',
        { query, start: seconds(startMs), end: seconds(endMs), step: seconds(stepMs) },
        signal,
      ),
    instant: (query, atMs, signal) => call('/api/v1/query', { query, time: seconds(atMs) }, signal),
  };
}

/** `+Inf`, `-Inf` and `NaN` are written so by Prometheus. */
function numberOf(text: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return text.trim() === '' ? NaN : Number(text);
}
