import { z } from 'zod';
import { OS_TYPES } from '../upgrade-params.ts';
import { namesOf, type NamedVersion } from './arm-names.ts';
import { decisionSchema } from './decision-schema.ts';
import { guardrailsSchema, trialSchema } from './schema.ts';
import { measureSchema, policySchema } from './traffic-schema.ts';

/**
 * A plan as far as it can be understood: what is missing or wrong is undefined, and positions in lists are kept. The
 * checks read this, so that all problems come out at once, also when the shape is wrong somewhere.
 */

const maybe = <S extends z.ZodType>(schema: S) => schema.optional().catch(undefined);
const text = maybe(z.string());
/** Null: it says something that is no OS type. */
const os = z.enum(OS_TYPES).default('linux').or(z.null()).catch(null);
/** A version without quotes is a number: a problem of its own, but one knows what is meant. */
const version = maybe(z.union([z.string(), z.number()]).transform(String));

const packagesDraft = maybe(z.array(maybe(z.object({ os, path: text, fileName: text, sha256: text }))));
const serverDraft = z.object({ name: text, url: text, agent: text, os });

const planDraft = z.object({
  service: text,
  baseline: maybe(z.object({ version, cluster: text, packages: packagesDraft })),
  candidates: maybe(z.array(maybe(z.object({ version, mode: text, packages: packagesDraft })))),
  deployment: maybe(z.record(z.string(), text)),
  clusters: maybe(z.record(z.string(), maybe(z.object({ servers: maybe(z.array(maybe(serverDraft))) })))),
  gateways: maybe(z.array(maybe(z.object({ name: text, kind: text, admin: text })))),
  traffic: maybe(
    z.object({
      key: maybe(z.object({ from: text, lookup: text })),
      policy: maybe(policySchema),
      account: maybe(z.object({ from: text })),
      withoutKey: text,
      transactions: maybe(z.object({ id: maybe(z.object({ from: text })) })),
    }),
  ),
  trial: maybe(trialSchema),
  measure: maybe(measureSchema),
  decision: maybe(decisionSchema),
  guardrails: maybe(guardrailsSchema),
  minServing: maybe(z.number()),
});

export type PlanDraft = z.output<typeof planDraft>;
export type PackagesDraft = NonNullable<z.output<typeof packagesDraft>>;
export type PolicyDraft = z.output<typeof policySchema>;

/** What is understood of the input; undefined where it is not even a mapping. */
export function draftPlan(input: unknown): PlanDraft | undefined {
  return planDraft.safeParse(input).data;
}

/** Every version of the plan, by the name that it has under trial; undefined where one of them is not understood. */
export function versionsOf(plan: PlanDraft): { baseline: string; candidates: string[] } | undefined {
  const baseline = plan.baseline?.version;
  if (baseline === undefined || plan.candidates === undefined) return undefined;
  const candidates: NamedVersion[] = [];
  for (const { version, mode = '' } of plan.candidates.map((candidate) => candidate ?? {})) {
    if (version === undefined) return undefined;
    candidates.push({ version, cluster: plan.deployment?.[mode] });
  }
  return { baseline, candidates: namesOf({ baseline, candidates }, plan.decision?.aaTest === true) };
}

/** Every server of the plan, with its cluster and where it stands. */
export function serversOf(plan: PlanDraft) {
  return Object.entries(plan.clusters ?? {}).flatMap(([cluster, { servers = [] } = {}]) =>
    servers.map((server, index) => ({
      cluster,
      path: ['clusters', cluster, 'servers', index],
      ...(server ?? { name: undefined, url: undefined, agent: undefined, os: null }),
    })),
  );
}
