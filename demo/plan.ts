import type { PlanInput } from '../src/domain/plan/schema.ts';
import type { Package } from '../src/domain/upgrade-params.ts';
import type { GatewayProcess } from './fleet/fleet-parts.ts';
import type { BusinessRelease } from './packages.ts';

export const SERVICE = 'wealth';
/** Behind it in the demo of tiers; there, this one is upgraded. */
export const INNER_SERVICE = 'pricing';

export interface DemoPlanParts {
  /** What is upgraded; the wealth pages by default. */
  readonly service?: typeof SERVICE | typeof INNER_SERVICE;
  readonly baseline: BusinessRelease;
  /** Each on the cluster of the same place; `clusters[0]` is the baseline's. */
  readonly candidates: readonly BusinessRelease[];
  readonly packages: Readonly<Record<string, Package>>;
  readonly clusters: readonly {
    readonly name: string;
    readonly servers: readonly { readonly name: string; readonly url: string; readonly agentUrl: string }[];
  }[];
  readonly gateways: readonly Pick<GatewayProcess, 'name' | 'kind' | 'adminUrl'>[];
}

/** The demo's upgrade with durations of seconds: candidates compete by the tail of the account, beside the baseline. */
export function demoPlan(parts: DemoPlanParts): PlanInput {
  const [baselineCluster, ...candidateClusters] = parts.clusters;
  const service = parts.service ?? SERVICE;
  const path = service === SERVICE ? '/visit' : '/quote';
  return {
    service,
    baseline: {
      version: parts.baseline.version,
      cluster: baselineCluster?.name ?? '',
      packages: packagesOf(parts, parts.baseline),
    },
    candidates: parts.candidates.map((release) => ({
      version: release.version,
      mode: release.mode,
      packages: packagesOf(parts, release),
    })),
    deployment: Object.fromEntries(
      parts.candidates.map(({ mode }, index) => [mode, candidateClusters[index]?.name ?? '']),
    ),
    clusters: Object.fromEntries(
      parts.clusters.map(({ name, servers }) => [name, clusterOf(parts, servers)]),
    ),
    gateways: parts.gateways.map(({ name, kind, adminUrl }) => ({ name, kind, admin: adminUrl })),
    drain: { manner: 'together', deadline: '60s', atDeadline: 'pause' },
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: policyFor(parts.candidates.map(({ version }) => version)),
      transactions: {
        // All calls that belong to one request or transaction of the web layer, as the edge says in the baggage. The
        // longest pause between two of them is less than half a second, and more where the machine is short of time.
        ...(service === SERVICE
          ? { id: { from: 'header', name: 'x-transaction' }, idle: '10s' }
          : { id: { from: 'baggage' }, idle: '4s' }),
        endHeader: 'x-transaction-end',
      },
    },
    trial: {
      stages: [
        { share: '5%', length: '5s' },
        { share: '25%', length: '5s' },
        { share: '100%', length: '8s' },
      ],
      readEvery: '1s',
      baselineShare: '10%',
    },
    decision: {
      rule: 'anytime',
      epsilon: '2%',
      expectedRate: '40%',
      unit: 'account',
      // The load sends an account's requests by all gateways in turn.
      accountsAt: 'any-gateway',
      window: '500ms',
      outcomeWithin: '2s',
      deadline: '60s',
    },
    measure: {
      allocated: { method: 'POST', path },
      volume: { kind: 'successes', match: { method: 'POST', path, status: '201' } },
      // The load's slowest requests take three seconds by intent.
      slow: '5s',
    },
    approval: 'required',
    promotion: { batch: 2 },
  };
}

function packagesOf({ packages }: DemoPlanParts, { version }: BusinessRelease) {
  const found = packages[version];
  if (found === undefined) return [];
  const { os, path, fileName, sha256 } = found;
  return [{ os, path, fileName, sha256 }];
}

function clusterOf(
  { packages, baseline }: DemoPlanParts,
  servers: DemoPlanParts['clusters'][number]['servers'],
): PlanInput['clusters'][string] {
  const os = packages[baseline.version]?.os ?? 'linux';
  return { servers: servers.map(({ name, url, agentUrl }) => ({ name, url, agent: agentUrl, os })) };
}

/** Odd accounts against even ones where two compete, as in the source method; otherwise a fair hash. */
function policyFor(versions: readonly string[]): PlanInput['traffic']['policy'] {
  const [first = '', second = ''] = versions;
  if (versions.length === 2) {
    return {
      kind: 'tail',
      rules: [
        { tail: 'odd', to: first },
        { tail: 'even', to: second },
      ],
    };
  }
  return { kind: 'hash', weights: Object.fromEntries(versions.map((version) => [version, 1])) };
}
