import {
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Backend } from './backend.ts';
import type { Booking } from './booking.ts';
import type { GatewayTimeouts } from './config.ts';
import type { ClientSide, ExchangeContext } from './exchange.ts';
import { answerPlainly, failureAnswer, NO_SERVER } from './exchange-failure.ts';
import { RequestBody } from './request-body.ts';
import type { RequestHead } from './request-head.ts';
import { readResponseHead } from './response-head.ts';
import { openTunnel } from './tunnel.ts';

/** The client's connection, where it asked to change the protocol on it. */
export interface UpgradeRequest {
  readonly socket: Duplex;
  /** What the client already sent of the new protocol. */
  readonly early: Buffer;
}

/**
 * One request over a connection of its own, for what a pool cannot carry: `Upgrade`, `Expect: 100-continue`, trailers
 * in a request, and `OPTIONS *`. Rare, so plain streams will do.
 */
export class DirectExchange {
  readonly #context: ExchangeContext;
  readonly #timeouts: GatewayTimeouts;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #head: RequestHead;
  readonly #upgrade: UpgradeRequest | null;
  readonly #body: RequestBody | null;
  readonly #tried: Backend[] = [];
  #upstream: ClientRequest | null = null;
  #booking: Booking | null = null;
  #connected = false;
  #continued = false;
  #over = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: {
    context: ExchangeContext;
    timeouts: GatewayTimeouts;
    client: ClientSide;
    upgrade: UpgradeRequest | null;
  }) {
    this.#context = parts.context;
    this.#timeouts = parts.timeouts;
    this.#req = parts.client.req;
    this.#res = parts.client.res;
    this.#head = parts.client.head;
    this.#upgrade = parts.upgrade;
    this.#body = this.#head.hasBody ? new RequestBody(this.#req) : null;
  }

  start(): void {
    const booking = this.#context.director.book(this.#head);
    if (booking === null) {
      this.#context.director.ledger.unrouted += 1;
      this.#body?.destroy();
      answerPlainly(this.#res, { ...NO_SERVER, headers: { Connection: 'close' } });
      return;
    }
    this.#res.on('close', () => this.#clientClosed());
    this.#send(booking);
  }

  #send(booking: Booking): void {
    this.#booking = booking;
    this.#connected = false;
    const { protocol, hostname, port } = new URL(booking.backend.origin);
    const upstream = (protocol === 'https:' ? httpsRequest : httpRequest)({
      protocol,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: this.#head.method,
      path: this.#head.url,
      headers: this.#headers(booking),
      agent: false,
      setHost: false,
    });
    this.#upstream = upstream;
    this.#limit(this.#timeouts.connectMs);
    upstream.on('socket', (socket) => {
      socket.once(protocol === 'https:' ? 'secureConnect' : 'connect', () =>
        this.#onConnect(upstream, booking),
      );
    });
    upstream.on('continue', () => {
      this.#continued = true;
      this.#res.writeContinue();
    });
    upstream.on('response', (response) => this.#onResponse(response, booking));
    upstream.on('upgrade', (response, socket, early) =>
      this.#onUpgrade(response, { socket, early }, booking),
    );
    upstream.on('error', (error) => this.#onError(error, booking));
    if (this.#body === null) upstream.end();
  }

  /** The end-to-end fields, and those that this connection needs. */
  #headers({ headers }: Booking): string[] {
    const { chunked, expectsContinue, trailer, upgrade } = this.#head;
    const own = [...headers];
    if (chunked) own.push('Transfer-Encoding', 'chunked');
    if (trailer !== undefined) own.push('Trailer', trailer);
    if (expectsContinue) own.push('Expect', '100-continue');
    if (this.#upgrade !== null && upgrade !== undefined)
      own.push('Connection', 'Upgrade', 'Upgrade', upgrade);
    else own.push('Connection', 'close');
    return own;
  }

  #onConnect(upstream: ClientRequest, booking: Booking): void {
    this.#connected = true;
    booking.sent();
    this.#limit(this.#timeouts.upstreamHeadersMs);
    const body = this.#body;
    if (body === null) return;
    body.pipe(upstream, { end: false });
    body.once('end', () => {
      const trailers = pairs(this.#req.rawTrailers);
      if (trailers.length > 0) upstream.addTrailers(trailers);
      upstream.end();
    });
  }

  #onResponse(response: IncomingMessage, booking: Booking): void {
    this.#limit(null);
    const status = response.statusCode ?? 502;
    const res = this.#res;
    const mayHaveTrailers = this.#head.method !== 'HEAD' && this.#req.httpVersion === '1.1';
    const head = readResponseHead(response.rawHeaders, booking.routes.responseWatch, { mayHaveTrailers });
    booking.answered(status, head);
    // Without a 100 the client may keep its body back: where the next request begins is then anybody's guess.
    const unclear = this.#head.expectsContinue && !this.#continued;
    if (this.#context.stopping || unclear || this.#upgrade !== null) head.headers.push('Connection', 'close');
    res.writeHead(status, response.statusMessage, head.headers);
    res.write('', 'latin1');
    response.setTimeout(this.#timeouts.upstreamBodyIdleMs, () =>
      response.destroy(new Error('the body stalled')),
    );
    response.pipe(res, { end: false });
    response.once('end', () => {
      const trailers = pairs(response.rawTrailers);
      if (trailers.length > 0 && res.chunkedEncoding) res.addTrailers(trailers);
      this.#over = true;
      booking.settle('answered');
      res.end();
      this.#body?.destroy();
    });
    response.once('error', (error) => this.#fail(error, booking));
  }

  #onUpgrade(response: IncomingMessage, upstream: UpgradeRequest, booking: Booking): void {
    this.#limit(null);
    if (this.#upgrade === null) {
      upstream.socket.destroy();
      this.#fail(new Error('the server changed the protocol unasked'), booking);
      return;
    }
    this.#over = true;
    const head = readResponseHead(response.rawHeaders, booking.routes.responseWatch, {
      mayHaveTrailers: false,
    });
    booking.answered(101, head);
    booking.switched();
    this.#res.detachSocket(this.#req.socket);
    openTunnel({
      client: this.#upgrade,
      upstream,
      head: [...head.headers, 'Connection', 'Upgrade', 'Upgrade', response.headers.upgrade ?? ''],
      onClose: () => booking.settle('answered'),
    });
  }

  #onError(error: Error, booking: Booking): void {
    if (this.#over || this.#booking !== booking) return;
    this.#limit(null);
    if (!this.#connected) {
      booking.backend.health.connectFailed(error);
      this.#tried.push(booking.backend);
      const next = this.#context.director.rebook(booking, this.#head, { tried: this.#tried, again: false });
      if (next !== null) {
        this.#send(next);
        return;
      }
    }
    this.#fail(error, booking);
  }

  #fail(error: Error, booking: Booking): void {
    if (this.#over) return;
    this.#over = true;
    this.#limit(null);
    booking.settle('failed');
    this.#body?.destroy();
    answerPlainly(this.#res, { ...failureAnswer(error), headers: { Connection: 'close' } });
    this.#upstream?.destroy();
  }

  #clientClosed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#limit(null);
    this.#booking?.settle('aborted');
    this.#body?.destroy();
    this.#upstream?.destroy();
  }

  #limit(ms: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer =
      ms === null
        ? null
        : setTimeout(() => this.#upstream?.destroy(timeoutError('the server is too slow')), ms);
  }
}

function timeoutError(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

function pairs(raw: readonly string[]): [string, string][] {
  const out: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) out.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return out;
}
