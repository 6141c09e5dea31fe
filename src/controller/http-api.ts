import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import {
  activateRequestSchema,
  byQuerySchema,
  checkRequestSchema,
  excludeRequestSchema,
  guardrailsRequestSchema,
  loadRequestSchema,
  lockRequestSchema,
  readyReportSchema,
  releaseRequestSchema,
  serviceDefinitionSchema,
  stageRequestSchema,
  type GatewayAddress,
  type LoadAnswer,
} from '../protocol/controller.ts';
import { readBody, readValue } from '../protocol/control-server.ts';
import type { TrafficGateway } from '../ports/traffic-gateway.ts';
import { gatewayStatsSchema, routesAckSchema } from '../protocol/gateway.ts';
import { noteExecuted } from './acknowledgements.ts';
import type { BlockLog } from './block-log.ts';
import { acquireLock, applyOnce, releaseLock } from './fencing.ts';
import { tableFor, type GatewayExclusions } from './gateway-exclusion.ts';
import { removeGateway } from './gateway-list.ts';
import type { GatewayPresence } from './gateway-presence.ts';
import type { GuardrailWatch } from './guardrail-watch.ts';
import type { Observatory, Reading } from './observatory.ts';
import type { Prometheus } from './prometheus.ts';
import type { Publisher } from './publisher.ts';
import { recordReady } from './readiness.ts';
import { activateRoutes, stageRoutes } from './route-changes.ts';
import { checkRoutes } from './route-check.ts';
import type { RoutePoll } from './route-poll.ts';
import { adopt, statusOf } from './service-state.ts';
import type { ServiceStore } from './service-store.ts';

const SERVICE = '/v1/services/:service';

const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be a name: lower-case letters, digits, dashes');
const pollSchema = z.object({
  gateway: z.string().optional(),
  has: z.coerce.number().int().nonnegative().optional(),
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});
const blocksQuerySchema = z.object({
  trial: z.string().min(1),
  after: z.coerce.number().int().nonnegative().default(0),
});

export interface ApiDeps {
  readonly logger: Logger;
  readonly store: ServiceStore;
  readonly publisher: Publisher;
  readonly observatory: Observatory;
  readonly blockLog: BlockLog;
  readonly guardrails: GuardrailWatch;
  readonly poll: RoutePoll;
  readonly presence: GatewayPresence;
  readonly exclusions: GatewayExclusions;
  readonly gatewayFor: (address: GatewayAddress) => TrafficGateway;
  readonly prometheus: Prometheus;
}

/** The API of src/protocol/controller.ts. Whatever is answered is on disk before. */
export function addControllerApi(app: Hono, deps: ApiDeps): void {
  addServiceRoutes(app, deps);
  addRouteRoutes(app, deps);
  addTrafficRoutes(app, deps);
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
      const table = await poll.newerThan(service, { version, waitMs, signal: c.req.raw.signal });
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

function addTrafficRoutes(app: Hono, deps: ApiDeps): void {
  const { store, observatory, guardrails, presence } = deps;

  const load = async (service: string, servers: readonly string[]): Promise<LoadAnswer> => {
    refuseUnknownServers(store, service, servers);
    const readings = await observatory.read(service);
    const gone = store.get(service).gateways.filter(({ state }) => state.excluded !== undefined);
    const excluded = gone.map(({ address }) => address.name);
    return { ...loadOf(readings, servers), ...(excluded.length === 0 ? {} : { excluded }) };
  };

  app.get(`${SERVICE}/load`, async (c) =>
    c.json(await load(c.req.param('service'), c.req.queries('server') ?? [])),
  );

  app.post(`${SERVICE}/load`, async (c) => {
    const { servers } = await readBody(c, loadRequestSchema);
    return c.json(await load(c.req.param('service'), servers));
  });

  app.post(`${SERVICE}/gateways/:name/stats`, async (c) => {
    const { service, name: gateway } = c.req.param();
    const stats = await readBody(c, gatewayStatsSchema);
    presence.enter(service, gateway)();
    await observatory.report(service, { ...stats, gateway });
    return c.body(null, 204);
  });

  app.get(`${SERVICE}/traffic`, async (c) => {
    const service = c.req.param('service');
    const readings = await observatory.read(service);
    const { active, pulls } = store.get(service);
    return c.json({
      service,
      at: now(),
      tableVersion: active.version,
      counts: observatory.totals(service),
      unread: readings.filter((reading) => 'problem' in reading).map(({ gateway }) => gateway),
      pulls,
    });
  });

  app.get(`${SERVICE}/blocks`, async (c) => {
    const request = readValue(c.req.query(), blocksQuerySchema);
    return c.json(await deps.blockLog.blocks(c.req.param('service'), request));
  });

  app.put(`${SERVICE}/guardrails`, async (c) => {
    await guardrails.arm(c.req.param('service'), await readBody(c, guardrailsRequestSchema));
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

function refuseUnknownServers(store: ServiceStore, service: string, servers: readonly string[]): void {
  const known = new Set(store.get(service).active.servers.map(({ name }) => name));
  const unknown = servers.filter((server) => !known.has(server));
  if (servers.length > 0 && unknown.length === 0) return;
  throw new ChangeoverError(
    'InvalidRequest',
    unknown.length === 0
      ? 'server: name at least one, as in ?server=a&server=b.'
      : `server: the routes of ${service} have no server ${unknown.join(', ')}; they have ${[...known].join(', ')}.`,
  );
}

/** No data is never zero: a gateway that cannot say something about each server fails the whole answer (invariant 2). */
function loadOf(readings: readonly Reading[], servers: readonly string[]): LoadAnswer {
  const wanted = new Set(servers);
  const problems: { gateway: string; problem: string }[] = [];
  const gateways: LoadAnswer['gateways'] = [];
  for (const reading of readings) {
    const { gateway } = reading;
    if ('problem' in reading) {
      problems.push(reading);
      continue;
    }
    const { tableVersion } = reading.stats;
    const asked = reading.stats.servers.filter(({ name }) => wanted.has(name));
    const told = new Set(asked.map(({ name }) => name));
    const missing = servers.filter((server) => !told.has(server));
    if (missing.length === 0) gateways.push({ gateway, tableVersion, servers: asked });
    else
      problems.push({
        gateway,
        problem: `it executes routes ${tableVersion}, without ${missing.join(', ')}`,
      });
  }
  if (problems.length === 0) return { gateways };
  const text = problems.map(({ gateway, problem }) => `${gateway} (${problem})`).join(', ');
  throw new ChangeoverError(
    'GatewayUnreachable',
    `What is in flight cannot be said, since not every gateway says it: ${text}. Start it, or look into its log.`,
    { details: { gateways: problems } },
  );
}
