import type { Plan } from './schema.ts';

/**
 * Routes, counters and evidence know a version under trial by its name. In an A/A test the same version runs on several
 * clusters, and the name has the cluster behind an `@`, which no version contains: `1.4@blue`.
 */
const AT = '@';

export interface NamedVersion {
  readonly version: string;
  readonly cluster: string | undefined;
}

/** Names of the candidates, in their order: the version alone where no other has it. */
export function namesOf(
  { baseline, candidates }: { readonly baseline: string; readonly candidates: readonly NamedVersion[] },
  isAaTest: boolean,
): string[] {
  const all = [baseline, ...candidates.map(({ version }) => version)];
  const isOften = (version: string): boolean => all.filter((one) => one === version).length > 1;
  return candidates.map(({ version, cluster }) =>
    isAaTest && isOften(version) ? `${version}${AT}${cluster ?? ''}` : version,
  );
}

/** What the servers of a version under this name run. */
export function softwareOf(name: string): string {
  return name.split(AT, 1)[0] ?? name;
}

/** The plan with its candidates under their names. */
export function namedApart(plan: Plan): Plan {
  const { baseline, candidates, deployment, decision } = plan;
  const named = candidates.map(({ version, mode }) => ({ version, cluster: deployment[mode] }));
  const names = namesOf({ baseline: baseline.version, candidates: named }, decision.aaTest === true);
  return {
    ...plan,
    candidates: candidates.map((one, index) => ({ ...one, version: names[index] ?? one.version })),
  };
}
