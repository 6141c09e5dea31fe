import type { Hono } from 'hono';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { guardrailsRequestSchema, loadRequestSchema, type LoadAnswer } from '../protocol/controller.ts';
import { readBody, readValue } from '../protocol/control-server.ts';
import { gatewayStatsSchema } from '../protocol/gateway.ts';
import type { BlockLog } from './block-log.ts';
import type { GatewayPresence } from './gateway-presence.ts';
import type { GuardrailWatch } from './guardrail-watch.ts';
import type { Observatory, Reading } from './observatory.ts';
import type { ServiceStore } from './service-store.ts';

const SERVICE = '/v1/services/:service';

const blocksQuerySchema = z.object({
  trial: z.string().min(1),
  after: z.coerce.number().int().nonnegative().default(0),
});

export interface TrafficApiDeps {
  readonly store: ServiceStore;
  readonly observatory: Observatory;
  readonly blockLog: BlockLog;
  readonly guardrails: GuardrailWatch;
  readonly presence: GatewayPresence;
}

/** What gateways count and have in flight, and what the controller makes of it. */
export function addTrafficApi(app: Hono, deps: TrafficApiDeps): void {
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
      at: new Date().toISOString(),
      tableVersion: active.version,
      counts: observatory.totals(service),
      unread: readings.filter((reading) => 'problem' in reading).map(({ gateway }) => gateway),
      pulls,
      ...guardrails.report(service),
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
