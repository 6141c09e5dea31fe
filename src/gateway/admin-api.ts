import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import { createControlApp, readBody } from '../protocol/control-server.ts';
import type { GatewayStats, RoutesAck, RoutesCheck } from '../protocol/gateway.ts';
import { routeTableSchema } from '../protocol/routes.ts';
import type { RouteKeeper } from './route-keeper.ts';
import type { DataPlane } from './data-plane.ts';

/** The gateway's admin API, as src/protocol/gateway.ts tells. It runs on a port of its own. */
export function createAdminApi(parts: {
  gateway: string;
  token: string | undefined;
  plane: Pick<DataPlane, 'table'>;
  keeper: RouteKeeper;
  stats: () => GatewayStats | Promise<GatewayStats>;
  /** In the text format of Prometheus. */
  metrics: () => string | Promise<string>;
  /** Called when the counters are read to be added up, which is not what Prometheus does. */
  onStatsRead: () => void;
  /** Whether the gateway takes traffic. */
  ready: () => boolean;
  logger: Logger;
}): Hono {
  const { plane, keeper, token, logger } = parts;
  const app = createControlApp({ logger, ...(token === undefined ? {} : { token }) });

  app.get('/health', (c) => {
    const ready = parts.ready();
    const { version: tableVersion, heldBy } = keeper;
    const waits = heldBy === null ? {} : { waitsFor: 'routes from the controller', upgrade: heldBy };
    return c.json({ status: ready ? 'ok' : 'notReady', tableVersion, ...waits }, ready ? 200 : 503);
  });
  app.put('/v1/routes', async (c) => {
    const version = await keeper.adopt(await readBody(c, routeTableSchema), 'pushed');
    const ack: RoutesAck = { gateway: parts.gateway, version };
    return c.json(ack);
  });
  app.post('/v1/routes/check', async (c) => {
    const answer: RoutesCheck = { problem: await keeper.check(await readBody(c, routeTableSchema)) };
    return c.json(answer);
  });
  app.get('/v1/routes', (c) => {
    const { table } = plane;
    if (table === null)
      throw new ChangeoverError('NotFound', 'This gateway has no routes yet; publish some.');
    c.header('ETag', `"${table.version}"`);
    return c.json(table);
  });
  app.get('/v1/stats', async (c) => {
    parts.onStatsRead();
    return c.json(await parts.stats());
  });
  app.get('/metrics', async (c) => {
    c.header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(await parts.metrics());
  });
  return app;
}
