import type { Logger } from 'pino';
import { z } from 'zod';
import { callControl } from '../protocol/control-client.ts';
import type { GatewayStats } from '../protocol/gateway.ts';

/** The controller reads every second; one that has not for this long does not reach us, in milliseconds. */
const UNREAD_MS = 2_500;
const EVERY_MS = 500;
const TIMEOUT_MS = 2_000;

/**
 * Says by itself what is in flight and what was counted while nobody comes to read it: behind a firewall, a gateway is
 * brought up to date by pulling, and this is the other half. Where the controller reads, nothing is sent.
 */
export class StatsReporter {
  readonly #call: {
    readonly baseUrl: string;
    readonly path: string;
    readonly token: string | undefined;
  };
  readonly #stats: () => GatewayStats;
  readonly #logger: Logger;
  #readAtMs = performance.now();
  #reportedVersion = 0;
  #failing = false;
  #underWay: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: {
    controllerUrl: string;
    service: string;
    gateway: string;
    token: string | undefined;
    stats: () => GatewayStats;
    logger: Logger;
  }) {
    const [service, gateway] = [parts.service, parts.gateway].map(encodeURIComponent);
    this.#call = {
      baseUrl: parts.controllerUrl,
      path: `/v1/services/${service}/gateways/${gateway}/stats`,
      token: parts.token,
    };
    this.#stats = parts.stats;
    this.#logger = parts.logger;
  }

  /** Somebody read the counters. */
  wasRead(): void {
    this.#readAtMs = performance.now();
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      if (performance.now() - this.#readAtMs >= UNREAD_MS) void this.#report();
    }, EVERY_MS).unref();
  }

  /** The last word, unless somebody came for it. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#underWay;
    if (this.#reportedVersion > 0 && performance.now() - this.#readAtMs >= UNREAD_MS) await this.#report();
  }

  #report(): Promise<void> {
    this.#underWay ??= this.#send().finally(() => (this.#underWay = null));
    return this.#underWay;
  }

  async #send(): Promise<void> {
    const stats = this.#stats();
    if (stats.tableVersion === 0) return;
    try {
      await callControl({
        ...this.#call,
        method: 'POST',
        body: stats,
        answer: z.undefined(),
        timeoutMs: TIMEOUT_MS,
        peer: 'the flow controller',
        unreachable: 'ControllerUnreachable',
      });
      if (this.#reportedVersion === 0)
        this.#logger.info('nobody reads the counters here; telling the controller');
      this.#reportedVersion = stats.tableVersion;
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#logger.warn({ err: error }, 'the controller does not take the counters');
      this.#failing = true;
    }
  }
}
