import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Backend } from './backend.ts';
import { wasReused } from './backend.ts';
import type { Booking } from './booking.ts';
import { answerPlainly, codeOf, failureAnswer, isConnectFailure, NO_SERVER } from './exchange-failure.ts';
import { RequestBody } from './request-body.ts';
import type { RequestHead } from './request-head.ts';
import { readResponseHead } from './response-head.ts';
import type { TrafficDirector } from './traffic-director.ts';

/** What exchanges share. */
export interface ExchangeContext {
  readonly director: TrafficDirector;
  /** The gateway is being stopped: each answer asks the client to use another connection. */
  readonly stopping: boolean;
}

/** A request as it came in, and the way back. */
export interface ClientSide {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly head: RequestHead;
}

/** Methods whose repetition changes nothing (RFC 9110 section 9.2.2), as far as they are repeated here. */
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * One request on its way through a connection pool. This is the hot path: it is the pool's dispatch handler itself,
 * and bytes go from socket to socket without a stream in between.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #context: ExchangeContext;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #head: RequestHead;
  readonly #body: RequestBody | null;
  #booking: Booking | null = null;
  #tried: Backend[] | null = null;
  #abort: ((error?: Error) => void) | null = null;
  /** The upstream side has ended, in whatever way. */
  #over = false;
  #gone = false;
  #headSeen = false;
  #repeatedHere = false;
  #resume: (() => void) | null = null;
  /** Bytes of the body still to come, where their number is known. */
  #remaining = -1;
  /** The last bytes, held back so that they leave together with the end. */
  #last: Buffer | null = null;

  constructor(context: ExchangeContext, client: ClientSide) {
    this.#context = context;
    this.#req = client.req;
    this.#res = client.res;
    this.#head = client.head;
    this.#body = client.head.hasBody ? new RequestBody(client.req) : null;
  }

  start(): void {
    const booking = this.#context.director.book(this.#head);
    if (booking === null) {
      this.#context.director.ledger.unrouted += 1;
      this.#body?.destroy();
      answerPlainly(this.#res, NO_SERVER);
      return;
    }
    this.#res.on('close', () => this.#clientClosed());
    this.#dispatch(booking);
  }

  #dispatch(booking: Booking): void {
    this.#booking = booking;
    this.#abort = null;
    const { method, url } = this.#head;
    const { headers } = booking;
    booking.backend.pool().dispatch({ path: url, method, headers, body: this.#body }, this);
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#gone) {
      abort();
      return;
    }
    this.#abort = abort;
    this.#booking?.sent();
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean {
    if (status < 200) {
      this.#inform(status, rawHeaders);
      return true;
    }
    const booking = this.#booking;
    if (booking === null) return true;
    this.#headSeen = true;
    const bodiless = this.#head.method === 'HEAD' || this.#req.httpVersion !== '1.1';
    const response = readResponseHead(rawHeaders, booking.routes.responseWatch, {
      mayHaveTrailers: !bodiless,
    });
    booking.answered(status, response);
    this.#remaining = response.contentLength;
    this.#resume = resume;
    if (this.#context.stopping) response.headers.push('Connection', 'close');
    this.#res.writeHead(status, statusText, response.headers);
    // A body of unknown length may take its time to begin; the client gets the head at once. Not by flushHeaders(),
    // which sends the fields in UTF-8 and so changes octets that are not ASCII.
    if (response.contentLength < 0) this.#res.write('', 'latin1');
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#remaining === chunk.length) {
      // The end of the message follows within the same read.
      this.#last = chunk;
      return true;
    }
    if (this.#remaining > 0) this.#remaining -= chunk.length;
    if (this.#res.write(chunk)) return true;
    this.#res.once('drain', () => this.#resume?.());
    return false;
  }

  onComplete(trailers: readonly (string | Buffer)[] | null): void {
    this.#over = true;
    this.#booking?.settle('answered');
    if (trailers !== null && trailers.length > 0 && this.#res.chunkedEncoding) {
      this.#res.addTrailers(pairs(trailers));
    }
    if (this.#last === null) this.#res.end();
    else this.#res.end(this.#last);
  }

  onError(error: Error): void {
    if (this.#over) return;
    const booking = this.#booking;
    if (booking === null) return;
    const neverSent = this.#abort === null;
    if (neverSent && isConnectFailure(error)) booking.backend.health.connectFailed(error);
    if (this.#retry(booking, error, neverSent)) return;
    this.#over = true;
    booking.settle('failed');
    this.#body?.destroy();
    if (codeOf(error) === 'UND_ERR_INVALID_ARG')
      answerPlainly(this.#res, { status: 400, reason: 'malformed request' });
    else answerPlainly(this.#res, failureAnswer(error));
  }

  /** Only where nothing can have been processed: nothing was sent, or it went into a connection that was closed. */
  #retry(booking: Booking, error: Error, neverSent: boolean): boolean {
    if (codeOf(error) === 'UND_ERR_INVALID_ARG') return false;
    const repeatable =
      neverSent ||
      (!this.#headSeen && !this.#head.hasBody && REPEATABLE.has(this.#head.method) && wasReused(error));
    if (!repeatable) return false;
    (this.#tried ??= []).push(booking.backend);
    const again = !neverSent && !this.#repeatedHere;
    if (again) this.#repeatedHere = true;
    const next = this.#context.director.rebook(booking, this.#head, { tried: this.#tried, again });
    if (next === null) return false;
    this.#dispatch(next);
    return true;
  }

  #clientClosed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#gone = true;
    this.#booking?.settle('aborted');
    this.#body?.destroy();
    this.#abort?.();
  }

  /** Interim answers are passed on (RFC 9110 section 15.2), those that Node can express. */
  #inform(status: number, rawHeaders: Buffer[]): void {
    if (this.#req.httpVersion !== '1.1' || this.#res.headersSent) return;
    if (status === 102) this.#res.writeProcessing();
    if (status !== 103) return;
    const hints: Record<string, string | string[]> = {};
    for (const [name, value] of pairs(rawHeaders)) {
      const key = name.toLowerCase();
      const before = hints[key];
      hints[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
    }
    if (hints['link'] !== undefined) this.#res.writeEarlyHints(hints);
  }
}

function pairs(raw: readonly (string | Buffer)[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    out.push([String(raw[i] ?? ''), raw[i + 1]?.toString('latin1') ?? '']);
  }
  return out;
}
