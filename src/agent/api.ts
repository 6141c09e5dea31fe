import { once } from 'node:events';
import type { Context, Hono } from 'hono';
import type { Logger } from 'pino';
import {
  prepareRequestSchema,
  upgradeRequestSchema,
  waitQuerySchema,
  type AgentStatus,
  type UpgradeRequest,
} from '../protocol/agent.ts';
import { ChangeoverError } from '../domain/errors.ts';
import { createControlApp, readBody, readValue } from '../protocol/control-server.ts';
import type { AgentConfig } from './config.ts';
import type { Journal, UpgradeRecord } from './journal.ts';
import type { ServerState } from './server-state.ts';
import type { UpgradeSteps } from './upgrade-steps.ts';
import type { Upgrader } from './upgrader.ts';

/** `GET /v1/status`, `POST /v1/prepare`, `PUT /v1/upgrade`, `GET /health`; see src/protocol/agent.ts. */
export function createAgentApi(
  config: Pick<AgentConfig, 'server' | 'service' | 'os'>,
  parts: {
    token: string | undefined;
    logger: Logger;
    journal: Journal;
    server: ServerState;
    upgrader: Upgrader;
    prepare: UpgradeSteps['prepare'];
  },
): Hono {
  const { server, service, os } = config;
  const { token, logger } = parts;

  const status = async (): Promise<AgentStatus> => {
    const reading = await parts.server.read();
    // Read last: what is said to be over is not older than what was seen to run.
    const { upgrade, pending } = parts.journal.state;
    return {
      server,
      service,
      os,
      ...reading,
      upgrade: pending ? pendingView(pending, new Date().toISOString()) : upgrade && upgradeView(upgrade),
    };
  };

  const untilOver = async (c: Context): Promise<void> => {
    const { waitMs } = readValue(c.req.query(), waitQuerySchema);
    if (waitMs === 0) return;
    const end = AbortSignal.any([c.req.raw.signal, AbortSignal.timeout(waitMs)]);
    const ended = end.aborted ? Promise.resolve() : once(end, 'abort');
    for (;;) {
      const { upgrade, pending } = parts.journal.state;
      if (end.aborted || (pending === null && upgrade?.state !== 'running')) return;
      await Promise.race([parts.journal.nextChange(), ended]);
    }
  };

  const app = createControlApp({ logger, ...(token !== undefined && { token }) });
  app.get('/health', (c) => c.json({ status: 'ok' }));
  app.get('/v1/status', async (c) => {
    await untilOver(c);
    return c.json(await status());
  });
  app.post('/v1/prepare', async (c) => {
    const request = await readBody(c, prepareRequestSchema);
    assertService(request.service, service);
    await parts.prepare(request.params);
    return c.body(null, 204);
  });
  app.put('/v1/upgrade', async (c) => {
    const request = await readBody(c, upgradeRequestSchema);
    assertService(request.service, service);
    await parts.upgrader.accept(request);
    await untilOver(c);
    return c.json(await status());
  });
  return app;
}

function assertService(asked: string, own: string): void {
  if (asked !== own) throw new ChangeoverError('ServiceUnknown', `This agent serves ${own}, not ${asked}.`);
}

function upgradeView(record: UpgradeRecord): AgentStatus['upgrade'] {
  const { request, state, step, startedAt, finishedAt, error, notes } = record;
  return {
    key: request.key,
    version: request.params.version,
    state,
    step,
    startedAt,
    notes,
    ...(finishedAt !== undefined && { finishedAt }),
    ...(error && { error }),
  };
}

/** Accepted, and begun as soon as the step of the one before it is over. */
function pendingView(pending: UpgradeRequest, at: string): AgentStatus['upgrade'] {
  return {
    key: pending.key,
    version: pending.params.version,
    state: 'running',
    step: 'fetching',
    startedAt: at,
    notes: [],
  };
}
