import { serversOf, type PlanDraft } from '../draft.ts';
import { anyOf, nearest, planProblem, type FieldPath, type PlanProblem } from '../problem.ts';

/** Clusters, servers, gateways, and which candidate goes where. */

export function clustersExist(plan: PlanDraft): PlanProblem[] {
  const { clusters } = plan;
  if (clusters === undefined) return [];
  const names = Object.keys(clusters);
  const references: [FieldPath, string | undefined][] = [
    [['baseline', 'cluster'], plan.baseline?.cluster],
    ...Object.entries(plan.deployment ?? {}).map(([mode, cluster]): [FieldPath, string | undefined] => [
      ['deployment', mode],
      cluster,
    ]),
  ];
  return references.flatMap(([path, cluster]) => {
    if (cluster === undefined || Object.hasOwn(clusters, cluster)) return [];
    const message = `must be one of the clusters: ${anyOf(names)}`;
    return [planProblem({ path, value: cluster, message, suggestion: nearest(cluster, names) })];
  });
}

export function modesHaveClusters({ candidates, deployment }: PlanDraft): PlanProblem[] {
  if (candidates === undefined || deployment === undefined) return [];
  return candidates.flatMap((candidate, index) => {
    const mode = candidate?.mode;
    if (mode === undefined || Object.hasOwn(deployment, mode)) return [];
    const message = `must have a deployment rule: add ${mode} with a candidate cluster to \`deployment\``;
    const suggestion = nearest(mode, Object.keys(deployment));
    return [planProblem({ path: ['candidates', index, 'mode'], value: mode, message, suggestion })];
  });
}

export function rulesHaveModes({ candidates, deployment }: PlanDraft): PlanProblem[] {
  const modes = candidates?.map((candidate) => candidate?.mode) ?? [];
  if (deployment === undefined || modes.includes(undefined)) return [];
  return Object.keys(deployment).flatMap((mode) => {
    if (modes.includes(mode) || modes.length === 0) return [];
    const known = modes.filter((each) => each !== undefined);
    const message = `must be the mode of a candidate: ${anyOf(known)}; ${mode} is none`;
    return [
      planProblem({
        path: ['deployment', mode],
        value: deployment[mode],
        message,
        suggestion: nearest(mode, known),
      }),
    ];
  });
}

export function oneCandidatePerCluster({ candidates, deployment }: PlanDraft): PlanProblem[] {
  const takenBy = new Map<string, string>();
  return (candidates ?? []).flatMap((candidate, index) => {
    const mode = candidate?.mode;
    const cluster = mode === undefined ? undefined : deployment?.[mode];
    if (mode === undefined || cluster === undefined) return [];
    const name = candidate?.version ?? `candidate ${index + 1}`;
    const holder = takenBy.get(cluster);
    takenBy.set(cluster, holder ?? name);
    if (holder === undefined) return [];
    const message = `must lead to a cluster of its own: ${cluster} is taken by candidate ${holder}`;
    return [planProblem({ path: ['candidates', index, 'mode'], value: mode, message })];
  });
}

export function candidatesOffBaselineCluster({ baseline, deployment }: PlanDraft): PlanProblem[] {
  return Object.entries(deployment ?? {}).flatMap(([mode, cluster]) => {
    if (cluster === undefined || cluster !== baseline?.cluster) return [];
    const message =
      'must be another cluster than the baseline’s, which serves everything while candidates are deployed';
    return [planProblem({ path: ['deployment', mode], value: cluster, message })];
  });
}

export function clustersAreUsed({ baseline, deployment, clusters }: PlanDraft): PlanProblem[] {
  if (baseline?.cluster === undefined || deployment === undefined) return [];
  const targets = Object.values(deployment);
  if (targets.includes(undefined)) return [];
  const used = new Set([baseline.cluster, ...targets]);
  return Object.keys(clusters ?? {}).flatMap((cluster) => {
    if (used.has(cluster)) return [];
    const message = `must be the baseline’s cluster or the target of a deployment rule, or be left out`;
    return [planProblem({ path: ['clusters', cluster], value: cluster, message })];
  });
}

export function serverNamesAreUnique(plan: PlanDraft): PlanProblem[] {
  const firstIn = new Map<string, string>();
  return serversOf(plan).flatMap(({ name, cluster, path }) => {
    if (name === undefined) return [];
    const first = firstIn.get(name);
    firstIn.set(name, first ?? cluster);
    if (first === undefined) return [];
    const where = first === cluster ? `twice in cluster ${cluster}` : `in cluster ${first} too`;
    const message = `must be a server’s own name: ${name} is ${where}`;
    return [planProblem({ path: [...path, 'name'], value: name, message })];
  });
}

/** Servers, agents and gateways all listen somewhere, and no two on the same address. */
export function addressesAreUnique(plan: PlanDraft): PlanProblem[] {
  const servers = serversOf(plan).flatMap(({ path, name, url, agent }) => [
    { path: [...path, 'url'], address: url, owner: `server ${name ?? '?'}` },
    { path: [...path, 'agent'], address: agent, owner: `the agent of ${name ?? '?'}` },
  ]);
  const gateways = (plan.gateways ?? []).map((gateway, index) => ({
    path: ['gateways', index, 'admin'],
    address: gateway?.admin,
    owner: `gateway ${gateway?.name ?? '?'}`,
  }));
  const ownerOf = new Map<string, string>();
  return [...servers, ...gateways].flatMap(({ path, address, owner }) => {
    if (address === undefined || !URL.canParse(address)) return [];
    const { origin } = new URL(address);
    const first = ownerOf.get(origin);
    ownerOf.set(origin, first ?? owner);
    if (first === undefined) return [];
    const message = `must be an address of its own: ${first} has it already`;
    return [planProblem({ path, value: address, message })];
  });
}

export function gatewayNamesAreUnique({ gateways }: PlanDraft): PlanProblem[] {
  const seen = new Set<string>();
  return (gateways ?? []).flatMap((gateway, index) => {
    const name = gateway?.name;
    if (name === undefined) return [];
    const isNew = !seen.has(name);
    seen.add(name);
    if (isNew) return [];
    const message = 'must be a gateway’s own name: another gateway has it already';
    return [planProblem({ path: ['gateways', index, 'name'], value: name, message })];
  });
}

export function minServingFits({ baseline, clusters, minServing }: PlanDraft): PlanProblem[] {
  const servers = clusters?.[baseline?.cluster ?? '']?.servers;
  if (servers === undefined || minServing === undefined || minServing <= servers.length) return [];
  const message = `must be ${servers.length} or less: so many servers has the baseline cluster, which serves alone at times`;
  return [planProblem({ path: ['minServing'], value: minServing, message })];
}
