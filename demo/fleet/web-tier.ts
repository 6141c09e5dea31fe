import type { createFlowController } from '../../src/adapters/flow-controller.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import { request } from 'undici';
import { INNER_SERVICE, SERVICE } from '../plan.ts';
import { createGateway, createServers, type GatewayProcess, type Surroundings } from './fleet-parts.ts';
import type { FleetServer } from './fleet-server.ts';
import { until } from './until.ts';

/** The layer in front of an inner service that is upgraded: web servers that stay, each with a sidecar. */
export interface WebTier {
  /** Where clients send their business; decides for the inner service, too. */
  readonly edge: GatewayProcess;
  readonly servers: readonly FleetServer[];
  /** Version of the web servers. */
  readonly version: string;
  /** Takes the web layer under management, and waits until it takes traffic and knows the inner service's routes. */
  adopt(registry: ReturnType<typeof createFlowController>): Promise<void>;
}

const ROUTES_TIMEOUT_MS = 20_000;

/** One web server for each of the sidecars, which it calls the inner service by. */
export async function createWebTier(
  around: Surroundings,
  parts: { controllerUrl: string; sidecars: readonly GatewayProcess[]; release: Package },
): Promise<WebTier> {
  const { controllerUrl, sidecars } = parts;
  const edge = await createGateway(around, {
    name: 'edge',
    service: SERVICE,
    controllerUrl,
    more: ['--context-for', INNER_SERVICE],
  });
  const servers = await createServers(
    around,
    { web: sidecars.length },
    { service: SERVICE, env: (index) => ({ PRICING_URL: sidecars[index]?.url ?? '' }) },
  );

  async function adopt(registry: ReturnType<typeof createFlowController>): Promise<void> {
    await registry.adopt(SERVICE, {
      release: parts.release.version,
      servers: servers.map(({ name, cluster, url }) => ({ name, cluster, url })),
      gateways: [{ name: edge.name, kind: 'embedded', admin: edge.adminUrl }],
      measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slowMs: 5_000 },
      transactions: {
        id: { from: 'header', name: 'x-transaction' },
        idleMs: 10_000,
        endHeader: 'x-transaction-end',
      },
    });
    await registry.publish(SERVICE);
    await edge.waitForTraffic();
    await until(`the edge knows the routes of ${INNER_SERVICE}`, () => knowsInner(edge), {
      timeoutMs: ROUTES_TIMEOUT_MS,
      signal: around.config.signal,
    });
  }

  return { edge, servers, version: parts.release.version, adopt };
}

async function knowsInner({ adminUrl }: GatewayProcess): Promise<boolean> {
  const { body } = await request(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(1_000) });
  const version = /^changeover_gateway_inner_table_version\{[^}]*\} (\d+)$/m.exec(await body.text())?.[1];
  return Number(version ?? 0) > 0;
}
