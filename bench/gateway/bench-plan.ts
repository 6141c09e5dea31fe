import { readPlan } from '../../src/domain/plan/read-plan.ts';
import type { Plan, PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit } from '../../src/domain/routes/table.ts';

const PACKAGE = { path: '/packages', fileName: 'bench.tgz', sha256: '0'.repeat(64) };
/** In turn, so that each has its share of the servers. */
const CLUSTERS = ['main', 'blue', 'green'] as const;
const RELEASES = { main: '1.0', blue: '2.0-a', green: '2.0-b' } as const;

/** A plan with all that an upgrade asks of a gateway: policy by tail, counters, amounts, transactions. */
export function benchPlan(
  urls: readonly string[],
  gateways: PlanInput['gateways'] = [{ name: 'bench', admin: 'http://10.1.0.1:7080' }],
): Plan {
  const members = (cluster: (typeof CLUSTERS)[number]) =>
    urls.flatMap((url, index) =>
      clusterAt(index) === cluster
        ? [{ name: `s${index}`, url, agent: `http://10.0.${index >> 8}.${index & 255}:7070` }]
        : [],
    );
  const read = readPlan({
    service: 'bench',
    baseline: { version: RELEASES.main, cluster: 'main', packages: [PACKAGE] },
    candidates: [
      { version: RELEASES.blue, mode: 'mode-a', packages: [PACKAGE] },
      { version: RELEASES.green, mode: 'mode-b', packages: [PACKAGE] },
    ],
    deployment: { 'mode-a': 'blue', 'mode-b': 'green' },
    clusters: Object.fromEntries(CLUSTERS.map((cluster) => [cluster, { servers: members(cluster) }])),
    gateways,
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'tail',
        rules: [
          { tail: 'odd', to: RELEASES.blue },
          { tail: 'even', to: RELEASES.green },
        ],
      },
      transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '60s' },
    },
    measure: {
      allocated: { path: '/wealth/*' },
      volume: { kind: 'amount', match: { method: 'POST', status: '2xx' }, amountHeader: 'x-amount' },
      slow: '1s',
    },
    minServing: 1,
  } satisfies PlanInput);
  if (!read.ok) throw new Error(read.problems.map(({ field, message }) => `${field} ${message}`).join('\n'));
  return read.plan;
}

function clusterAt(index: number): (typeof CLUSTERS)[number] {
  return CLUSTERS[index % CLUSTERS.length] ?? 'main';
}

/** Odd accounts to one candidate, even ones to the other, all of them. */
export function benchSplit(plan: Plan): TrafficSplit {
  return {
    key: plan.traffic.key,
    policy: plan.traffic.policy,
    withoutKey: RELEASES.main,
    baseline: RELEASES.main,
    share: 1,
    salt: 'bench',
    pulled: [],
  };
}

/** The routes of a trial: the split is in effect, and every server is open. */
export function trialTable(plan: Plan, version: number): RouteTable {
  return {
    service: plan.service,
    version,
    mainRelease: RELEASES.main,
    split: benchSplit(plan),
    servers: CLUSTERS.flatMap((cluster) =>
      (plan.clusters[cluster]?.servers ?? []).map(({ name, url }) => ({
        name,
        cluster,
        url,
        release: RELEASES[cluster],
        ingress: 'open' as const,
      })),
    ),
    transactions: plan.traffic.transactions ?? null,
    measure: plan.measure,
  };
}
