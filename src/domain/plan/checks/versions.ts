import type { OsType } from '../../upgrade-params.ts';
import { serversOf, versionsOf, type PackagesDraft, type PlanDraft } from '../draft.ts';
import { anyOf, nearest, planProblem, type FieldPath, type PlanProblem } from '../problem.ts';

/** Versions and their packages. */

export function versionsAreUnique({ baseline, candidates, decision }: PlanDraft): PlanProblem[] {
  if (decision?.aaTest === true) return [];
  const owner = new Map<string, string>();
  if (baseline?.version !== undefined) owner.set(baseline.version, 'the baseline');
  return (candidates ?? []).flatMap((candidate, index) => {
    const version = candidate?.version;
    if (version === undefined) return [];
    const first = owner.get(version);
    owner.set(version, first ?? `candidate ${index + 1}`);
    if (first === undefined) return [];
    const message = `must be a version of its own: it is the version of ${first} already (decision.aaTest compares a version with itself)`;
    return [planProblem({ path: ['candidates', index, 'version'], value: version, message })];
  });
}

interface PackageList {
  readonly path: FieldPath;
  readonly version: string;
  readonly packages: PackagesDraft;
}

function packageLists({ baseline, candidates }: PlanDraft): PackageList[] {
  const lists = [
    {
      path: ['baseline', 'packages'],
      version: baseline?.version ?? 'the baseline',
      packages: baseline?.packages,
    },
    ...(candidates ?? []).map((candidate, index) => ({
      path: ['candidates', index, 'packages'],
      version: candidate?.version ?? `candidate ${index + 1}`,
      packages: candidate?.packages,
    })),
  ];
  return lists.flatMap(({ packages, ...list }) => (packages === undefined ? [] : [{ ...list, packages }]));
}

/** A winner runs on every cluster in the end, and the baseline comes back to every cluster in a rollback. */
export function packagesCoverFleet(plan: PlanDraft): PlanProblem[] {
  const servers = serversOf(plan);
  const fleet = [...new Set(servers.map((server) => server.os))].filter((os) => os !== null);
  return packageLists(plan).flatMap(({ path, version, packages }) => {
    const covered = packages.map((each) => each?.os);
    if (packages.length === 0 || covered.includes(null) || covered.includes(undefined)) return [];
    return fleet
      .filter((os) => !covered.includes(os))
      .map((os) => {
        const server = servers.find((each) => each.os === os)?.name ?? '?';
        const message = `must have a package for ${os}: server ${server} runs it, and ${version} may come to every server`;
        return planProblem({ path, value: packages, message });
      });
  });
}

export function onePackagePerOs(plan: PlanDraft): PlanProblem[] {
  return packageLists(plan).flatMap(({ path, version, packages }) => {
    const seen = new Set<OsType>();
    return packages.flatMap((each, index) => {
      const os = each?.os;
      if (os === null || os === undefined) return [];
      const isNew = !seen.has(os);
      seen.add(os);
      if (isNew) return [];
      const message = `must be an OS type of its own: ${version} has a package for ${os} already`;
      return [planProblem({ path: [...path, index, 'os'], value: os, message })];
    });
  });
}

const PATH_MESSAGE =
  'must be an absolute folder such as /srv/packages, or an http(s) address such as https://packages.example/wealth';

export function packagePathsAreReadable(plan: PlanDraft): PlanProblem[] {
  return packageLists(plan).flatMap(({ path, packages }) =>
    packages.flatMap((each, index) => {
      const location = each?.path;
      if (location === undefined || location === '') return [];
      const message = packagePathProblem(location);
      return message === undefined
        ? []
        : [planProblem({ path: [...path, index, 'path'], value: location, message })];
    }),
  );
}

function packagePathProblem(location: string): string | undefined {
  if (/^[A-Za-z]:[\\/]/.test(location) || location.startsWith('/')) {
    return location.split(/[\\/]/).includes('..') ? 'must be a folder without `..` in it' : undefined;
  }
  if (!/^https?:/i.test(location) || !URL.canParse(location)) return PATH_MESSAGE;
  const { username, password, search, hash } = new URL(location);
  if (username !== '' || password !== '') {
    return 'must be an address without credentials: those belong to the agents’ configuration';
  }
  return search === '' && hash === '' ? undefined : 'must be an address without ? and #';
}

/** Fields that name a version, outside the policy. */
export function withoutKeyExists(plan: PlanDraft): PlanProblem[] {
  const value = plan.traffic?.withoutKey;
  const versions = versionsOf(plan);
  if (value === undefined || versions === undefined) return [];
  return unknownVersion({
    path: ['traffic', 'withoutKey'],
    value,
    known: [versions.baseline, ...versions.candidates],
  });
}

interface VersionReference {
  readonly path: FieldPath;
  readonly value: string;
  readonly known: readonly string[];
}

export function unknownVersion({ path, value, known }: VersionReference): PlanProblem[] {
  if (known.includes(value)) return [];
  const message = `must be a version of this plan: ${anyOf(known)}`;
  return [planProblem({ path, value, message, suggestion: nearest(value, known) })];
}
