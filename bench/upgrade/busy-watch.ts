import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import { z } from 'zod';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { routeTableSchema } from '../../src/protocol/routes.ts';

/** How long a server had business in flight after no gateway sent it any new. Times are epoch milliseconds. */
export interface Drain {
  readonly server: string;
  /** When the last gateway acknowledged the table that closed the server. */
  readonly closedAt: number;
  /** When the server was last seen with a request or a transaction in flight; before `closedAt` where it had none. */
  readonly lastBusyAt: number;
}

/** Watches every drain from the outside: the flow controller's routes, and what each server says of itself. */
export interface BusyWatch extends AsyncDisposable {
  readonly drains: readonly Drain[];
}

const ROUTES_WAIT_MS = 20_000;
/** The bound is too low by so much at most, never too high: what counts is when the server was last seen busy. */
const SAMPLE_MS = 40;
const ACKNOWLEDGED_POLL_MS = 5;

const inFlightSchema = z.object({ inFlight: z.int(), openTransactions: z.int() });

export function watchDrains(fleet: Fleet): BusyWatch {
  const stop = new AbortController();
  const drains: Drain[] = [];
  const samplers = new Set<Promise<void>>();

  async function follow(): Promise<void> {
    let version = 0;
    let draining = new Set<string>();
    while (!stop.signal.aborted) {
      const table = await routesAfter(version);
      if (table === undefined) continue;
      version = table.version;
      const now = table.servers.filter(({ ingress }) => ingress === 'draining');
      const fresh = now.filter(({ name }) => !draining.has(name));
      draining = new Set(now.map(({ name }) => name));
      if (fresh.length === 0) continue;
      const closed = acknowledged(version);
      for (const { name, url } of fresh) inBackground(sample(name, url, closed));
    }
  }

  async function routesAfter(version: number) {
    const { statusCode, body } = await request(
      `${fleet.controller.url}/v1/services/${fleet.service}/routes?waitMs=${ROUTES_WAIT_MS}`,
      { headers: { 'if-none-match': `"${version}"` }, signal: stop.signal },
    );
    if (statusCode === 200) return routeTableSchema.parse(await body.json());
    await body.dump();
    return undefined;
  }

  /** When the last gateway acknowledged this version, or a later one. */
  async function acknowledged(version: number): Promise<number> {
    for (;;) {
      const { gateways } = await fleet.registry.status(fleet.service);
      if (gateways.every((gateway) => gateway.acknowledged >= version)) {
        return Math.max(...gateways.map(({ acknowledgedAt }) => Date.parse(acknowledgedAt ?? '')));
      }
      await delay(ACKNOWLEDGED_POLL_MS, undefined, { signal: stop.signal });
    }
  }

  /** Until the server is idle with nobody sending it anything new: from then on it stays so. */
  async function sample(server: string, url: string, closed: Promise<number>): Promise<void> {
    let closedAt: number | undefined;
    void closed.then((at) => (closedAt = at));
    let lastBusyAt = 0;
    for (;;) {
      const askedAt = Date.now();
      const isClosed = closedAt !== undefined;
      const state = await stateOf(url);
      if (state === 'busy') lastBusyAt = askedAt;
      else if (isClosed || state === 'stopped') break;
      await delay(SAMPLE_MS, undefined, { signal: stop.signal });
    }
    drains.push({ server, closedAt: await closed, lastBusyAt });
  }

  async function stateOf(url: string): Promise<'busy' | 'idle' | 'stopped'> {
    try {
      const { body } = await request(`${url}/inflight`, { signal: stop.signal });
      const { inFlight, openTransactions } = inFlightSchema.parse(await body.json());
      return inFlight + openTransactions > 0 ? 'busy' : 'idle';
    } catch (error) {
      if (stop.signal.aborted || error instanceof z.ZodError) throw error;
      // The agent saw sooner than we did that it was idle, and has stopped it.
      return 'stopped';
    }
  }

  function inBackground(work: Promise<void>): void {
    const running = work.catch(unlessStopped).finally(() => samplers.delete(running));
    samplers.add(running);
  }

  function unlessStopped(error: unknown): void {
    if (!stop.signal.aborted) throw error;
  }

  const following = follow().catch(unlessStopped);
  return {
    drains,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await following;
      await Promise.all(samplers);
    },
  };
}
