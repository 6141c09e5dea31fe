import type { PrometheusPlan } from '../../domain/plan/source-schema.ts';
import type { MetricsSource } from '../../ports/metrics-source.ts';
import { onePerArm, scaledCounts, type OutcomeScale, type RawCounts } from './counts.ts';
import type { Reach } from './fetch-json.ts';
import { createPrometheusApi, type Series } from './prometheus-api.ts';
import { selectorsOf } from './promql-selectors.ts';
import { headersOf, unusable } from './unusable.ts';

/** A counter is looked at this often, in milliseconds, or at so many moments of a long trial, to see it fall. */
const STEP_MS = 15_000;
const MOST_STEPS = 1_000;

/**
 * Counters of a Prometheus: their value now, less their value when the trial began.
 *
 * A counter that fell meanwhile (what it counts began anew) is refused; so is one whose newest sample is older than
 * `maxAge`. A series that did not exist when the trial began, nor in the hour before, counts from 0 and is noted.
 */
export function createPrometheusMetrics(
  plan: PrometheusPlan,
  options: Reach & OutcomeScale & { readonly env: NodeJS.ProcessEnv },
): MetricsSource {
  const { env, kind, cap, allowedHosts } = options;
  const { label, settleMs, maxAgeMs } = plan;
  const source = `Prometheus ${plan.url}`;
  const headers = (): Record<string, string> => headersOf(source, env, plan.headers);
  const api = createPrometheusApi({ url: plan.url, source, headers, allowedHosts });

  /** Version → growth since the trial began. */
  const growths = async (
    what: string,
    query: string,
    { arms, span, signal, notes }: Reading,
  ): Promise<Record<string, number>> => {
    const all = await api.range(query, span, signal);
    const entries = all.map((value) => ({ name: nameOf(what, value), value }));
    const series = onePerArm(source, `${what} (${query})`, arms, { names: plan.arms, entries });
    const growth: Record<string, number> = {};
    const born: { version: string; firstMs: number }[] = [];
    for (const [version, { points }] of Object.entries(series)) {
      assertCounter(`${what} of version ${version}`, points);
      const [first, last] = [points[0], points.at(-1)];
      if (first === undefined || last?.atMs !== span.endMs) {
        const held = last === undefined ? 'nothing' : `nothing after ${iso(last.atMs)}`;
        throw unusable(
          source,
          `${what} of version ${version} held ${held}, and must be there at ${iso(span.endMs)}`,
        );
      }
      if (first.atMs !== span.startMs) born.push({ version, firstMs: first.atMs });
      growth[version] = last.value - (first.atMs === span.startMs ? first.value : 0);
    }
    if (born.length > 0) notes.push(...(await assertBorn(what, query, born, { span, signal })));
    return growth;
  };

  const nameOf = (what: string, { labels }: Series): string => {
    const name = labels[label];
    if (name !== undefined && name !== '') return name;
    const held = Object.keys(labels).slice(0, 8).join(', ');
    throw unusable(
      source,
      `${what} has a series without the label ${label}, it has ${held === '' ? 'none' : held}; sum by (${label}), or name the label in the plan`,
    );
  };

  const assertCounter = (what: string, points: Series['points']): void => {
    let before: Series['points'][number] | undefined;
    for (const point of points) {
      if (!Number.isFinite(point.value) || point.value < 0) {
        throw unusable(
          source,
          `${what} held ${point.value} at ${iso(point.atMs)}, and must be a number from 0`,
        );
      }
      if (before !== undefined && point.value < before.value) {
        throw unusable(
          source,
          `${what} fell from ${before.value} to ${point.value} between ${iso(before.atMs)} and ${iso(point.atMs)}, and must never fall (a restart of what it counts?)`,
        );
      }
      before = point;
    }
  };

  /** Counters that first appear during the trial began at 0 then; where nobody looked, that is not known. */
  const assertBorn = async (
    what: string,
    query: string,
    born: readonly { version: string; firstMs: number }[],
    { span, signal }: Pick<Reading, 'span' | 'signal'>,
  ): Promise<string[]> => {
    const inHour = selectorsOf(query).map((one) => `count by (${label}) (last_over_time(${one}[1h]))`);
    const [watched, ...earlier] = await Promise.all(
      ['count(up)', ...inHour].map((one) => api.instant(one, span.startMs, signal)),
    );
    const known = new Set(earlier.flat().map(({ labels }) => labels[label]));
    return born.map(({ version, firstMs }) => {
      const since = `${iso(span.startMs)}, when the trial began`;
      if (watched === undefined || watched.length === 0) {
        throw unusable(
          source,
          `it knows nothing of ${since}: it was away, or keeps samples for too short a time`,
        );
      }
      if (known.has(plan.arms?.[version] ?? version)) {
        throw unusable(
          source,
          `${what} of version ${version} held nothing at ${since}, but did in the hour before, and must be there; a new trial begins with what is there`,
        );
      }
      return `${source}: ${what} of version ${version} first appeared at ${iso(firstMs)} and is counted from 0.`;
    });
  };

  const assertFresh = async (queries: readonly string[], { arms, span, signal }: Reading): Promise<void> => {
    const names = new Map(arms.map((version) => [plan.arms?.[version] ?? version, version]));
    const selectors = [...new Set(queries.flatMap(selectorsOf))];
    await Promise.all(
      selectors.map(async (selector) => {
        const series = await api.instant(`min by (${label}) (timestamp(${selector}))`, span.endMs, signal);
        for (const { labels, points } of series) {
          const name = labels[label] ?? '';
          const atMs = (points[0]?.value ?? NaN) * 1000;
          if ((name !== '' && !names.has(name)) || span.endMs - atMs <= maxAgeMs) continue;
          const whose = name === '' ? '' : ` of version ${names.get(name) ?? name}`;
          throw unusable(
            source,
            `the newest sample of ${selector}${whose} is of ${iso(atMs)}, older than maxAge (${maxAgeMs / 1000} s) at ${iso(span.endMs)}`,
          );
        }
      }),
    );
  };

  return {
    delayMs: settleMs,
    read: async ({ arms, since, until }, { signal }) => {
      const startMs = Date.parse(since);
      const rangeMs = Math.max(0, Date.parse(until) - settleMs - startMs);
      const steps = Math.max(1, Math.min(MOST_STEPS, Math.ceil(rangeMs / STEP_MS)));
      const stepMs = Math.max(1, Math.floor(rangeMs / steps));
      // The last moment is a whole number of steps away, for that is where Prometheus ends.
      const span = { startMs, endMs: startMs + (rangeMs === 0 ? 0 : steps * stepMs), stepMs };
      const notes: string[] = [];
      const reading = { arms, span, signal, notes };
      const read = (what: string, query: string | undefined) =>
        query === undefined ? undefined : growths(what, query, reading);
      const [n, sum, squares, uncapped] = await Promise.all([
        growths('allocated', plan.allocated, reading),
        growths('volume', plan.volume, reading),
        read('squares', plan.squares),
        read('uncapped', plan.uncapped),
        assertFresh(
          [plan.allocated, plan.volume, plan.squares, plan.uncapped].filter((query) => query !== undefined),
          reading,
        ),
      ]);
      const counts = arms.map((version) => {
        const raw: RawCounts = {
          n: n[version] ?? NaN,
          sum: sum[version] ?? NaN,
          squares: squares?.[version],
          uncapped: uncapped?.[version],
        };
        return [version, scaledCounts(source, version, raw, { kind, cap })] as const;
      });
      return { at: iso(span.endMs), arms: Object.fromEntries(counts), notes };
    },
  };
}

interface Reading {
  readonly arms: readonly string[];
  readonly span: { readonly startMs: number; readonly endMs: number; readonly stepMs: number };
  readonly signal: AbortSignal | undefined;
  readonly notes: string[];
}

function iso(atMs: number): string {
  return Number.isFinite(atMs) ? new Date(atMs).toISOString() : 'an unknown time';
}
