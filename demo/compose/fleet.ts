import type { AgentConfigInput } from '../../src/agent/config.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import type { AgentAddress } from '../../src/ports/server-agent.ts';
import { BASELINE, FLOATING_SECOND, START_COMMAND, STATIC_HOME } from '../packages.ts';

/** The demo clusters of docker-compose.yml: a container is a server, and its service name is its host. */

export const SERVICE = 'wealth';
export const CLUSTERS = ['main', 'blue', 'green'] as const;
type Cluster = (typeof CLUSTERS)[number];
const SERVERS_EACH = 3;

const BUSINESS_PORT = 8080;
const AGENT_PORT = 7070;
const GATEWAY_ADMIN_PORT = 7600;

/** The gateways that a profile of docker-compose.yml adds: container → as what it stands in the plan. */
const MORE_GATEWAYS = {
  haproxy: { name: 'gateway-2', kind: 'haproxy', admin: `http://companion:${GATEWAY_ADMIN_PORT}` },
  sidecar: { name: 'sidecar-1', kind: 'embedded', admin: `http://sidecar:${GATEWAY_ADMIN_PORT}` },
} as const;
export type Profile = keyof typeof MORE_GATEWAYS;

function serversOf(cluster: Cluster): string[] {
  return Array.from({ length: SERVERS_EACH }, (_, index) => `${cluster}-${index + 1}`);
}

export function agents(): AgentAddress[] {
  return CLUSTERS.flatMap(serversOf).map((server) => ({ server, agent: `http://${server}:${AGENT_PORT}` }));
}

/** Configuration of one server's agent, which supervises the business in the same container. */
export function agentConfig(server: string, packageFolder: string): AgentConfigInput {
  return {
    server,
    service: SERVICE,
    os: 'linux',
    listen: { host: '0.0.0.0', port: AGENT_PORT },
    token: { env: 'CHANGEOVER_AGENT_TOKEN' },
    installDir: '/var/lib/changeover',
    packageRoots: [packageFolder],
    run: {
      command: [...START_COMMAND],
      env: { HOST: '0.0.0.0', PORT: String(BUSINESS_PORT), SERVER_NAME: server },
      // The business is in the agent's container, and ends with it anyway.
      stopWithAgent: true,
    },
    health: { url: `http://127.0.0.1:${BUSINESS_PORT}/health` },
    inFlight: { connections: { port: BUSINESS_PORT } },
  };
}

/** The upgrade of the demo: 2.0-a on blue and 2.0-b on green compete, odd accounts against even ones. */
export function plan(
  packages: { baseline: Package; staticHome: Package; floatingSecond: Package },
  profiles: readonly Profile[] = [],
): PlanInput {
  const cluster = (name: Cluster) => ({
    servers: serversOf(name).map((server) => ({
      name: server,
      url: `http://${server}:${BUSINESS_PORT}`,
      agent: `http://${server}:${AGENT_PORT}`,
      os: 'linux' as const,
    })),
  });
  return {
    service: SERVICE,
    baseline: { version: BASELINE.version, cluster: 'main', packages: [entry(packages.baseline)] },
    candidates: [
      { version: STATIC_HOME.version, mode: STATIC_HOME.mode, packages: [entry(packages.staticHome)] },
      {
        version: FLOATING_SECOND.version,
        mode: FLOATING_SECOND.mode,
        packages: [entry(packages.floatingSecond)],
      },
    ],
    deployment: { [STATIC_HOME.mode]: 'blue', [FLOATING_SECOND.mode]: 'green' },
    clusters: { main: cluster('main'), blue: cluster('blue'), green: cluster('green') },
    gateways: [
      { name: 'gateway-1', admin: `http://gateway:${GATEWAY_ADMIN_PORT}` },
      ...profiles.map((profile) => MORE_GATEWAYS[profile]),
    ],
    drain: { deadline: '2m' },
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'tail',
        rules: [
          { tail: 'odd', to: STATIC_HOME.version },
          { tail: 'even', to: FLOATING_SECOND.version },
        ],
      },
      transactions: {
        id: { from: 'header', name: 'x-transaction' },
        idle: '30s',
        endHeader: 'x-transaction-end',
      },
    },
    trial: {
      stages: [
        { share: '25%', length: '20s' },
        { share: '100%', length: '40s' },
      ],
      readEvery: '5s',
    },
    // A trial of a minute: accounts count by what they do within seconds.
    decision: {
      ...{ epsilon: '2%', expectedRate: '40%', window: '2s', outcomeWithin: '4s', deadline: '5m' },
      ...(profiles.includes('haproxy') ? { accountsAt: 'any-gateway' } : {}),
    },
    measure: {
      allocated: { method: 'POST', path: '/visit' },
      volume: { kind: 'successes', match: { method: 'POST', path: '/visit', status: '201' } },
      slow: '5s',
    },
  };
}

function entry({ os, path, fileName, sha256 }: Package) {
  return { os, path, fileName, sha256 };
}
