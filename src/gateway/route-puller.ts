import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { callControl, type ControlCall } from '../protocol/control-client.ts';
import type { RoutesAck } from '../protocol/gateway.ts';
import { routeTableSchema } from '../protocol/routes.ts';
import type { RouteKeeper } from './route-keeper.ts';

/** How long the controller may keep a long poll open, and how much longer we wait for it, in milliseconds. */
const WAIT_MS = 25_000;
const PATIENCE_MS = 10_000;
/** Bounds of the pause after a failure, in milliseconds. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** While the traffic port is shut for want of an answer. */
const PAUSE_WHILE_HELD_MS = 1_000;

/**
 * Pulls route tables from the flow controller by long polls, for as long as it runs. Pushing is faster, but pulling is
 * what brings a gateway up to date that could not be reached.
 */
export class RoutePuller {
  readonly #path: string;
  readonly #gateway: string | null;
  readonly #longestPauseMs: number;
  readonly #keeper: RouteKeeper;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #call: Pick<ControlCall<unknown>, 'baseUrl' | 'token' | 'peer' | 'unreachable' | 'signal'>;
  #running: Promise<void> | null = null;

  constructor(parts: {
    controllerUrl: string;
    service: string;
    /** Null: somebody who only wants to know the routes, and acknowledges nothing. */
    gateway: string | null;
    token: string | undefined;
    keeper: RouteKeeper;
    /** Bound of the pause after failures, in milliseconds. */
    longestPauseMs?: number;
    logger: Logger;
  }) {
    this.#path = `/v1/services/${encodeURIComponent(parts.service)}`;
    this.#gateway = parts.gateway;
    this.#longestPauseMs = parts.longestPauseMs ?? LONGEST_PAUSE_MS;
    this.#keeper = parts.keeper;
    this.#logger = parts.logger;
    this.#call = {
      baseUrl: parts.controllerUrl,
      token: parts.token,
      peer: 'the flow controller',
      unreachable: 'ControllerUnreachable',
      signal: this.#stop.signal,
    };
  }

  /** Asks for the latest table, within `timeoutMs`. True if the controller answered. */
  async pullOnce(timeoutMs: number): Promise<boolean> {
    try {
      await this.ask(timeoutMs);
      return true;
    } catch (error) {
      this.#logger.warn({ err: error }, whatFailed(error));
      return false;
    }
  }

  /**
   * The same for somebody who has to say what is wrong.
   *
   * @throws ChangeoverError what the controller answered, or why it did not; `NotInEffect` where its table cannot be executed.
   */
  async ask(timeoutMs: number): Promise<void> {
    const news = await this.#pull(0, timeoutMs);
    // What is acknowledged now may be the first word since this gateway was declared gone: the next answer frees it.
    if (news === 'newer' && this.#keeper.heldBy !== null) await this.#pull(0, timeoutMs);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    for (;;) {
      try {
        const waitMs = this.#keeper.heldBy === null ? WAIT_MS : 0;
        const news = await this.#pull(waitMs, waitMs + PATIENCE_MS);
        if (failures > 0) this.#logger.info('the controller gives routes again');
        failures = 0;
        // It answered at once with an older table than ours: it lost some, and asking again at once brings no other.
        if (news === 'older') await this.#pause(this.#longestPauseMs);
        else if (this.#keeper.heldBy !== null) await this.#pause(PAUSE_WHILE_HELD_MS);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        failures += 1;
        if (failures === 1) this.#logger.warn({ err: error }, `${whatFailed(error)}; trying on`);
        const longestMs = this.#keeper.heldBy === null ? this.#longestPauseMs : PAUSE_WHILE_HELD_MS;
        await this.#pause(Math.min(longestMs, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10)));
      }
    }
  }

  async #pull(waitMs: number, timeoutMs: number): Promise<'newer' | 'same' | 'older'> {
    const has = await this.#keeper.executed();
    const table = await callControl({
      ...this.#call,
      method: 'GET',
      path: `${this.#path}/routes`,
      query: this.#gateway === null ? { waitMs } : { waitMs, gateway: this.#gateway, has },
      headers: has > 0 ? { 'if-none-match': `"${has}"` } : {},
      // Nothing newer is 304, an answer without a body.
      answer: routeTableSchema.optional(),
      timeoutMs,
    });
    if (table === undefined) {
      this.#keeper.confirm();
      return 'same';
    }
    const version = await this.#keeper.adopt(table, 'pulled').catch((cause: unknown) => {
      throw new NotInEffect(table.version, cause);
    });
    if (version > table.version) {
      this.#logger.warn(
        { ours: version, controllers: table.version },
        'the controller has older routes than this gateway',
      );
      return 'older';
    }
    if (version > has) await this.#acknowledge(version);
    return version > has ? 'newer' : 'same';
  }

  async #acknowledge(version: number): Promise<void> {
    if (this.#gateway === null) return;
    const ack: RoutesAck = { gateway: this.#gateway, version };
    await callControl({
      ...this.#call,
      method: 'POST',
      path: `${this.#path}/routes/ack`,
      body: ack,
      answer: z.undefined(),
      timeoutMs: PATIENCE_MS,
    });
  }

  /** Between half of `ms` and all of it, so that many gateways do not come back in step. */
  async #pause(ms: number): Promise<void> {
    const pauseMs = ms * (0.5 + Math.random() / 2);
    await delay(pauseMs, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
  }
}

/** The controller gave routes, and they cannot be executed here. */
export class NotInEffect extends ChangeoverError {
  constructor(version: number, cause: unknown) {
    const code = cause instanceof ChangeoverError ? cause.code : 'Internal';
    super(code, `route table ${version}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function whatFailed(error: unknown): string {
  return error instanceof NotInEffect
    ? 'the routes that the controller gave could not be put into effect'
    : 'the controller does not give routes';
}
