import { setTimeout as delay } from 'node:timers/promises';
import { ChangeoverError } from '../../src/domain/errors.ts';
import { createClient } from './client.ts';
import { cutOf, type Exchange } from './exchange.ts';
import { createBusinessSequence, DEFAULT_MIX, type Business, type Mix, type Step } from './mix.ts';
import { createRecorder } from './recorder.ts';
import type { LoadSummary, LoadTotals } from './summary.ts';

export interface LoadConfig {
  /** Origin, or several (one a gateway) that take turns; all requests of a transaction go to the same. */
  readonly url: string | readonly string[];
  /** Requests in a second, those of transactions included. */
  readonly ratePerSecond: number;
  /** Number of accounts; 5,000 by default. Each may have several requests under way. */
  readonly accounts?: number;
  /** The same seed sends the same business; 1 by default. */
  readonly seed?: number;
  /** Weights that differ from those of DEFAULT_MIX. */
  readonly mix?: Partial<Mix>;
  /** After this long without an answer a request is lost; 30 s by default. */
  readonly timeoutMs?: number;
}

export interface LoadHooks {
  /** Called once for each request, when it is answered or lost. */
  readonly onExchange?: (exchange: Exchange) => void;
}

/**
 * An open-loop load: it sends by schedule, whatever the answers do, so that a stall of the other side is seen in full
 * and not slept away.
 */
export interface Load extends AsyncDisposable {
  start(): void;
  totals(): LoadTotals;
  /** Sends nothing new, and resolves when all that is under way has ended. Safe to repeat. */
  stop(): Promise<LoadSummary>;
  /** `stop`, and the connections are closed. */
  close(): Promise<void>;
}

const TICK_MS = 5;
const JSON_BODY = { 'content-type': 'application/json' } as const;

export function createLoad(config: LoadConfig, hooks: LoadHooks = {}): Load {
  const urls = typeof config.url === 'string' ? [config.url] : config.url;
  if (urls.length === 0)
    throw new ChangeoverError('InvalidRequest', 'The load has no url to send to; name one.');
  const client = createClient(urls, config.timeoutMs ?? 30_000);
  const recorder = createRecorder();
  const nextBusiness = createBusinessSequence({
    seed: config.seed ?? 1,
    accounts: config.accounts ?? 5000,
    mix: { ...DEFAULT_MIX, ...config.mix },
  });
  const underWay = new Set<Promise<void>>();
  let turn = 0;
  let timer: NodeJS.Timeout | undefined;
  let startedAt = 0;

  async function exchange(business: Business, step: Step, to: number): Promise<Exchange> {
    const { account, id, kind } = business;
    const headers: Record<string, string> = { 'x-account': account };
    if (step.method === 'POST') Object.assign(headers, JSON_BODY);
    if (kind === 'visit') headers['x-visit'] = id;
    if (kind === 'transaction') headers['x-transaction'] = id;
    recorder.sending();
    const sentAt = Date.now();
    const began = performance.now();
    const reply = await client.send({ to, method: step.method, path: step.path, headers });
    const done: Exchange = { business, step, sentAt, durationMs: performance.now() - began, reply };
    recorder.done(done);
    hooks.onExchange?.(done);
    return done;
  }

  function sawInner({ reply }: Exchange, met: Set<string>): void {
    if (reply.status !== null) for (const version of reply.innerVersions) met.add(version);
  }

  async function transact(business: Business, to: number, met: Set<string>): Promise<void> {
    recorder.transactionStarted();
    const [start, ...rest] = business.steps;
    const first = await exchange(business, start, to);
    sawInner(first, met);
    let reason = cutOf(first.reply, first.reply);
    let path = start.path;
    for (const step of rest) {
      if (reason !== undefined) break;
      await delay(step.afterMs);
      path = step.path;
      const next = await exchange(business, step, to);
      sawInner(next, met);
      reason = cutOf(first.reply, next.reply);
    }
    if (reason === undefined) recorder.transactionFinished();
    else recorder.transactionCut(business, { path, reason });
  }

  async function run(business: Business): Promise<void> {
    turn += 1;
    const met = new Set<string>();
    if (business.kind === 'transaction') await transact(business, turn, met);
    else sawInner(await exchange(business, business.steps[0], turn), met);
    recorder.businessEnded(business, met);
  }

  /** Sends what is due. The steps of transactions count as well, so that the rate is that of all requests. */
  function tick(): void {
    const elapsedMs = performance.now() - startedAt;
    const due = Math.floor((elapsedMs / 1000) * config.ratePerSecond);
    recorder.lagging(elapsedMs - ((recorder.sent + 1) / config.ratePerSecond) * 1000);
    while (recorder.sent < due) {
      const running = run(nextBusiness()).finally(() => underWay.delete(running));
      underWay.add(running);
    }
  }

  async function stop(): Promise<LoadSummary> {
    clearInterval(timer);
    await Promise.all(underWay);
    return recorder.summary();
  }

  async function close(): Promise<void> {
    await stop();
    await client.close();
  }

  return {
    start: () => {
      if (timer !== undefined) return;
      startedAt = performance.now();
      timer = setInterval(tick, TICK_MS);
    },
    totals: () => recorder.totals(),
    stop,
    close,
    [Symbol.asyncDispose]: close,
  };
}
