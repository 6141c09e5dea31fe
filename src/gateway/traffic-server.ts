import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { GatewayConfig } from './config.ts';
import { DirectExchange, type UpgradeRequest } from './direct-exchange.ts';
import { type ClientSide, Exchange } from './exchange.ts';
import { answerPlainly, codeOf, NO_SERVER } from './exchange-failure.ts';
import { fieldTokens } from './header-name.ts';
import { type GatewayTraits, readRequestHead, Refusal, type RequestHead } from './request-head.ts';
import type { TrafficDirector } from './traffic-director.ts';

/** How often it is looked whether the last exchange has ended, in milliseconds. */
const DRAIN_LOOK_MS = 20;
/** Upgrades that would make this an HTTP or TLS connection past the gateway's checks. */
const REFUSED_UPGRADES = /^(?:h2c?|http\/|tls\/)/;

/** The traffic port: takes requests from clients and hands each to an exchange. */
export class TrafficServer {
  stopping = false;
  readonly director: TrafficDirector;
  readonly #config: GatewayConfig;
  readonly #server: Server;
  readonly #traits: GatewayTraits;
  readonly #upgraded = new Set<Duplex>();
  /** Connections on which a request was refused: what else came on them is not to be believed. */
  readonly #distrusted = new WeakSet<Duplex>();

  constructor(config: GatewayConfig, director: TrafficDirector) {
    this.#config = config;
    this.director = director;
    this.#traits = {
      name: config.name,
      trustsContext: config.role === 'sidecar',
      writesContext: director.context.writes,
    };
    const { timeouts } = config;
    this.#server = createServer({
      insecureHTTPParser: false,
      // Checked with the rest of the head; the parser would go on to what follows the refused request.
      requireHostHeader: false,
      maxHeaderSize: config.maxHeaderBytes,
      headersTimeout: timeouts.clientHeadersMs,
      keepAliveTimeout: timeouts.clientIdleMs,
      // Bodies may take as long as they move: `timeout` below sees to those that do not.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(5_000, timeouts.clientHeadersMs),
      noDelay: true,
    });
    this.#server.timeout = timeouts.clientStallMs;
    this.#server.on('request', (req, res) => this.#onRequest(req, res));
    this.#server.on('checkContinue', (req, res) => this.#onRequest(req, res));
    this.#server.on('upgrade', (req, socket, early) => this.#onUpgrade(req, { socket, early }));
    this.#server.on('connect', (_req, socket: Duplex) => {
      this.director.ledger.refused += 1;
      socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    this.#server.on('clientError', (error, socket) => this.#onClientError(error, socket));
  }

  get address(): AddressInfo | null {
    const address = this.#server.address();
    return typeof address === 'object' ? address : null;
  }

  listen(): Promise<void> {
    const { host, port } = this.#config.listen;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /**
   * Stops taking connections, lets every exchange end, and then closes. What is still under way after the grace is cut.
   *
   * @returns the number of exchanges that had to be cut.
   */
  async close(): Promise<number> {
    this.stopping = true;
    if (!this.#server.listening) return 0;
    // http.Server.close() would at once hang up on idle connections, also on those where a request is about to arrive.
    const closed = new Promise<void>((resolve) =>
      NetServer.prototype.close.call(this.#server, () => resolve()),
    );
    const deadline = performance.now() + this.#config.shutdownGraceMs;
    await Promise.race([closed, delay(Math.min(this.#config.lastCallMs, this.#config.shutdownGraceMs))]);
    while (this.director.fleet.inFlight > 0 && performance.now() < deadline) {
      this.#server.closeIdleConnections();
      await delay(DRAIN_LOOK_MS);
    }
    const cut = this.director.fleet.inFlight;
    this.#server.closeIdleConnections();
    // Answers that are complete here may still be on their way to slow clients.
    await Promise.race([closed, delay(Math.max(0, deadline - performance.now()), undefined, { ref: false })]);
    for (const socket of this.#upgraded) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await closed;
    return cut;
  }

  #onRequest(req: IncomingMessage, res: ServerResponse): void {
    // The parser may have read further requests before the connection was closed.
    if (this.#distrusted.has(req.socket)) return;
    const head = this.#readHead(req, res);
    if (head === null) return;
    if (head.expectsContinue || head.trailer !== undefined || head.url === '*') {
      this.#direct({ req, res, head }, null);
    } else {
      new Exchange(this, { req, res, head }).start();
    }
  }

  #onUpgrade(req: IncomingMessage, upgrade: UpgradeRequest): void {
    const { socket } = upgrade;
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return;
    }
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    socket.on('error', () => socket.destroy());
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket);
    res.once('finish', () => socket.destroySoon());
    const head = this.#readHead(req, res);
    if (head === null) return;
    const tokens = fieldTokens(head.upgrade ?? '');
    if (head.hasBody || tokens.length === 0 || tokens.some((token) => REFUSED_UPGRADES.test(token))) {
      this.director.ledger.refused += 1;
      answerPlainly(res, {
        status: 400,
        reason: 'this upgrade is not offered here',
        headers: { Connection: 'close' },
      });
      return;
    }
    this.#direct({ req, res, head }, upgrade);
  }

  #direct(client: ClientSide, upgrade: UpgradeRequest | null): void {
    const { timeouts } = this.#config;
    new DirectExchange({ context: this, timeouts, client, upgrade }).start();
  }

  /** The checked head, or null where the request was answered already. */
  #readHead(req: IncomingMessage, res: ServerResponse): RequestHead | null {
    const { routes } = this.director;
    if (routes === null) {
      answerPlainly(res, NO_SERVER);
      return null;
    }
    const head = readRequestHead(req, routes.requestWatch, this.#traits);
    if (!(head instanceof Refusal)) return head;
    this.director.ledger.refused += 1;
    this.#distrusted.add(req.socket);
    answerPlainly(res, { status: head.status, reason: head.reason, headers: { Connection: 'close' } });
    return null;
  }

  #onClientError(error: Error, socket: Duplex): void {
    // The answer under way on this connection, if any; Node has no public name for it.
    const answering: unknown = '_httpMessage' in socket ? socket._httpMessage : null;
    const begun = answering instanceof ServerResponse && answering.headersSent;
    if (codeOf(error) === 'ECONNRESET' || !socket.writable || begun) {
      socket.destroy();
      return;
    }
    this.director.ledger.refused += 1;
    this.#distrusted.add(socket);
    socket.end(`HTTP/1.1 ${refusalOf(codeOf(error))}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () =>
      socket.destroy(),
    );
  }
}

function refusalOf(code: string): string {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return '431 Request Header Fields Too Large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout';
    default:
      return '400 Bad Request';
  }
}
