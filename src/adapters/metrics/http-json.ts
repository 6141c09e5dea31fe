import { z } from 'zod';
import type { HttpPlan } from '../../domain/plan/source-schema.ts';
import type { MetricsSource } from '../../ports/metrics-source.ts';
import { onePerArm, scaledCounts, type OutcomeScale } from './counts.ts';
import { fetchJson, type Reach } from './fetch-json.ts';
import { headersOf, unusable } from './unusable.ts';

const instant = z.iso.datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' });
const number = z.number('must be a number from 0');
const answerSchema = z.object({
  since: instant,
  at: instant,
  arms: z
    .array(
      z.object({
        arm: z.string('must be the name of a version'),
        n: number,
        sum: number,
        squares: number.exactOptional(),
        uncapped: number.exactOptional(),
      }),
      'must be a list',
    )
    .max(10_000),
});

/** Clocks of two machines differ by this much, in milliseconds. */
const CLOCKS_MS = 5_000;

/**
 * Counts by a service of one's own: `GET url?since=…&until=…&arm=…&arm=…` answers
 * `{ since, at, arms: [{ arm, n, sum, squares?, uncapped? }] }`, counted from `since` up to `at`. Amounts and clicks are
 * capped one by one by the service, and in the units of the cap.
 */
export function createHttpMetrics(
  plan: HttpPlan,
  options: Reach & OutcomeScale & { readonly env: NodeJS.ProcessEnv },
): MetricsSource {
  const { env, kind, cap, allowedHosts } = options;
  const address = new URL(plan.url);
  const source = `Metrics source ${address.origin}${address.pathname}`;
  return {
    delayMs: null,
    read: async ({ arms, since, until }, { signal }) => {
      const url = new URL(plan.url);
      url.searchParams.set('since', since);
      url.searchParams.set('until', until);
      for (const arm of arms) url.searchParams.append('arm', plan.arms?.[arm] ?? arm);
      const headers = headersOf(source, env, plan.headers);
      const { body } = await fetchJson({ source, url, headers, allowedHosts, signal });
      const answer = answerSchema.safeParse(body);
      if (!answer.success) {
        const [issue] = answer.error.issues;
        const field = issue?.path.join('.') ?? '';
        throw unusable(
          source,
          `${field === '' ? 'its answer' : field} ${issue?.message ?? 'is not as documented'}`,
        );
      }
      const { data } = answer;
      if (Date.parse(data.since) !== Date.parse(since)) {
        throw unusable(
          source,
          `it counted since ${data.since}, and must count since ${since}, as it is asked`,
        );
      }
      const ageMs = Date.parse(until) - Date.parse(data.at);
      if (ageMs > plan.maxAgeMs) {
        throw unusable(
          source,
          `what it counted is of ${data.at}, older than maxAge (${plan.maxAgeMs / 1000} s) at ${until}`,
        );
      }
      if (ageMs < -CLOCKS_MS)
        throw unusable(source, `it counted to ${data.at}, which is after now, ${until}`);
      if (Date.parse(data.at) < Date.parse(since)) {
        throw unusable(source, `it counted to ${data.at}, before the trial began, ${since}`);
      }
      const entries = data.arms.map(({ arm, ...value }) => ({ name: arm, value }));
      const raw = onePerArm(source, 'its answer', arms, { names: plan.arms, entries });
      return {
        at: new Date(data.at).toISOString(),
        arms: Object.fromEntries(
          Object.entries(raw).map(([arm, counts]) => [arm, scaledCounts(source, arm, counts, { kind, cap })]),
        ),
        notes: [],
      };
    },
  };
}
