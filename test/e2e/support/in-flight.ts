import type { GatewayProcess } from '../../../demo/fleet/fleet-parts.ts';
import { createGatewayOverHttp } from '../../../src/adapters/gateway-over-http.ts';

/** What is under way at a gateway now. */
export async function inFlightAt({ name, adminUrl }: GatewayProcess): Promise<number> {
  const { servers } = await createGatewayOverHttp({ name, admin: adminUrl }).stats({});
  return servers.reduce((sum, { inFlight }) => sum + inFlight, 0);
}
