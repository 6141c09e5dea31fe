import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import {
  activateRequestSchema,
  byQuerySchema,
  checkRequestSchema,
  excludeRequestSchema,
  lockRequestSchema,
  readyReportSchema,
  releaseRequestSchema,
  serviceDefinitionSchema,
  stageRequestSchema,
  type GatewayAddress,
} from '../protocol/controller.ts';
import { readBody, readValue } from '../protocol/control-server.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import { routesAckSchema } from '../protocol/gateway.ts';
import { noteExecuted } from './acknowledgements.ts';
import { acquireLock, applyOnce, releaseLock } from './fencing.ts';
import { tableFor, type GatewayExclusions } from './gateway-exclusion.ts';
import { removeGateway } from './gateway-list.ts';
import type { Prometheus } from './prometheus.ts';
import type { Publisher } from './publisher.ts';
import { recordReady } from './readiness.ts';
import { activateRoutes, stageRoutes } from './route-changes.ts';
import { checkRoutes } from './route-check.ts';
import type { RoutePoll } from './route-poll.ts';
import { adopt, statusOf } from './service-state.ts';
import { addTrafficApi, type TrafficApiDeps } from './traffic-api.ts';

const SERVICE = '/v1/services/:service';

const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a name: lower-case letters, digits, dashes');
const pollSchema = z.object({
  gateway: z.string().optional(),
  has: z.coerce.number().int().nonnegative().optional(),
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});

export interface ApiDeps extends TrafficApiDeps {
  readonly logger: Logger;
  readonly publisher: Publisher;
  readonly poll: RoutePoll;
  readonly exclusions: GatewayExclusions;
  readonly gatewayFor: (address: GatewayAddress) => TrafficGateway;
  readonly prometheus: Prometheus;
}

/** The API of src/protocol/controller.ts. Whatever is answered is on disk before. */
export function addControllerApi(app: Hono, deps: ApiDeps): void {
  addServiceRoutes(app, deps);
  addRouteRoutes(app, deps);
  addTrafficApi(app, deps);
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/metrics', async (c) => {
    c.header('content-type', deps.prometheus.contentType);
    return c.body(await deps.prometheus.render());
  });
}

function addServiceRoutes(app: Hono, { store, exclusions, logger }: ApiDeps): void {
  app.put(SERVICE, async (c) => {
    const service = readValue(c.req.param('service'), nameSchema);
    const definition = await readBody(c, serviceDefinitionSchema);
    return c.json(
      await store.create(service, (known) => adopt(known, { service, definition, at: new Date() })),
    );
  });

  app.get(SERVICE, (c) => c.json(statusOf(store.get(c.req.param('service')))));

  app.post(`${SERVICE}/lock`, async (c) => {
    const request = { ...(await readBody(c, lockRequestSchema)), at: now() };
    return c.json(await store.update(c.req.param('service'), (state) => acquireLock(state, request)));
  });

  app.delete(`${SERVICE}/lock`, async (c) => {
    const service = c.req.param('service');
    const { by, ...request } = await readBody(c, releaseRequestSchema);
    const { lock } = store.get(service);
    await store.update(service, (state) => releaseLock(state, request));
    if (by !== undefined) logger.warn({ service, lock, by, ...request }, 'an operator released a lock');
    return c.body(null, 204);
  });

  app.delete(`${SERVICE}/gateways/:name`, async (c) => {
    const { service, name: gateway } = c.req.param();
    const { by } = readValue(c.req.query(), byQuerySchema);
    await store.update(service, (state) => removeGateway(state, gateway));
    logger.warn({ service, gateway, by }, 'a gateway was removed');
    return c.body(null, 204);
  });

  app.post(`${SERVICE}/gateways/:name/exclude`, async (c) => {
    const { service, name: gateway } = c.req.param();
    await exclusions.exclude(service, { ...(await readBody(c, excludeRequestSchema)), gateway });
    return c.body(null, 204);
  });

  app.post(`${SERVICE}/ready`, async (c) => {
    const report = await readBody(c, readyReportSchema);
    await store.update(c.req.param('service'), (state) => recordReady(state, report, now()));
    return c.body(null, 204);
  });
}

function addRouteRoutes(app: Hono, deps: ApiDeps): void {
  const { store, publisher, poll, presence } = deps;

  app.post(`${SERVICE}/routes/stage`, async (c) => {
    const request = await readBody(c, stageRequestSchema);
    const answer = await store.update(c.req.param('service'), (state) =>
      applyOnce(state, { ...request, kind: 'stage' }, (current) => stageRoutes(current, request.transitions)),
    );
    return c.json(answer);
  });

  app.post(`${SERVICE}/routes/activate`, async (c) => {
    const request = await readBody(c, activateRequestSchema);
    const answer = await store.update(c.req.param('service'), (state) =>
      applyOnce(state, { ...request, kind: 'activate' }, (current) =>
        activateRoutes(current, request.transitions),
      ),
    );
    return c.json(answer);
  });

  app.post(`${SERVICE}/routes/publish`, async (c) => {
    const service = c.req.param('service');
    await publisher.publish(service);
    const { active, activeSince: since, gateways } = store.get(service);
    return c.json({ version: active.version, since, gateways: gateways.map(({ state }) => state) });
  });

  app.post(`${SERVICE}/routes/check`, async (c) => {
    const { transitions } = await readBody(c, checkRequestSchema);
    return c.json(await checkRoutes(deps, c.req.param('service'), transitions));
  });

  app.get(`${SERVICE}/routes`, async (c) => {
    const service = c.req.param('service');
    const { gateway, has, waitMs } = readValue(c.req.query(), pollSchema);
    const leave = gateway === undefined ? () => undefined : presence.enter(service, gateway);
    try {
      if (gateway !== undefined && has !== undefined) await pulled(deps, service, { gateway, version: has });
      const version = versionOf(c.req.header('if-none-match'));
      // One that has nothing yet may have to be told that what it is pushed is current.
      const isTaken = async (): Promise<boolean> =>
        gateway !== undefined && version > 0 && waitMs > 0 && publisher.takenByPush(service, gateway);
      const table = await poll.newerThan(service, { version, waitMs, isTaken, signal: c.req.raw.signal });
      const current = tableFor(store.get(service), gateway);
      c.header('etag', `"${current.version}"`);
      return table === undefined ? c.body(null, 304) : c.json(current);
    } finally {
      leave();
    }
  });

  app.post(`${SERVICE}/routes/ack`, async (c) => {
    const service = c.req.param('service');
    const ack = await readBody(c, routesAckSchema);
    presence.enter(service, ack.gateway)();
    await pulled(deps, service, ack);
    return c.body(null, 204);
  });
}

function now(): string {
  return new Date().toISOString();
}

/** A gateway says by itself what it executes. */
async function pulled(
  deps: ApiDeps,
  service: string,
  executed: { gateway: string; version: number },
): Promise<void> {
  const at = now();
  await noteExecuted(deps, service, { ...executed, by: 'pull', asOf: at, at });
}

/** 0, which every table is newer than, where the caller has none (RFC 9110, 13.1.2: a list, `*`, or weak tags). */
function versionOf(ifNoneMatch: string | undefined): number {
  const tag = /^(?:W\/)?"(\d{1,15})"$/.exec(ifNoneMatch?.trim() ?? '');
  return Number(tag?.[1] ?? 0);
}
