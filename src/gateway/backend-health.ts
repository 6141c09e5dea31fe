import { connect } from 'node:net';
import type { Logger } from 'pino';

/** First and longest time that a server stays out before it is probed, in milliseconds. */
const FIRST_OUT_MS = 250;
const LONGEST_OUT_MS = 10_000;

/**
 * Passive health of one server: a failed connection takes it out for a short, growing time; a TCP connection that
 * comes about brings it back. Requests that were answered badly do not count: the server is there.
 */
export class BackendHealth {
  readonly #origin: URL;
  readonly #connectMs: number;
  readonly #logger: Logger;
  #failures = 0;
  #probe: NodeJS.Timeout | null = null;

  constructor(origin: URL, options: { connectMs: number; logger: Logger }) {
    this.#origin = origin;
    this.#connectMs = options.connectMs;
    this.#logger = options.logger;
  }

  get healthy(): boolean {
    return this.#failures === 0;
  }

  connectFailed(error: Error): void {
    if (!this.healthy) return;
    this.#logger.warn({ err: error }, 'server does not take connections; out until it does');
    this.#failures = 1;
    this.#scheduleProbe();
  }

  /** Fresh start: the server was opened, or is no longer of interest. */
  reset(): void {
    this.#failures = 0;
    if (this.#probe !== null) clearTimeout(this.#probe);
    this.#probe = null;
  }

  #scheduleProbe(): void {
    const outMs = Math.min(LONGEST_OUT_MS, FIRST_OUT_MS * 2 ** (this.#failures - 1));
    this.#probe = setTimeout(() => this.#tryConnect(), outMs);
    this.#probe.unref();
  }

  #tryConnect(): void {
    const { hostname, port, protocol } = this.#origin;
    const probe = this.#probe;
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      timeout: this.#connectMs,
    });
    const settle = (up: boolean): void => {
      socket.destroy();
      // A reset in between made this probe obsolete.
      if (this.#probe !== probe || probe === null) return;
      if (up) {
        this.reset();
        this.#logger.info('server takes connections again');
      } else {
        this.#failures += 1;
        this.#scheduleProbe();
      }
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.on('error', () => settle(false));
  }
}
