import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Certificate } from '../../support/certificate.ts';

/** A real server behind the gateway. It notes what reached it, and how many connections it has. */
export class UpstreamServer implements AsyncDisposable {
  readonly name: string;
  readonly requests: {
    method: string;
    url: string;
    headers: IncomingMessage['headers'];
    rawHeaders: string[];
  }[] = [];
  readonly sockets = new Set<Socket>();
  connections = 0;
  handler: RequestListener;
  readonly server: Server;
  readonly #origin: string;
  #port = 0;

  /** @param tls - speaks TLS alone, and is called by `host`. */
  constructor(
    name: string,
    handler?: RequestListener,
    tls?: { readonly host: string; readonly certificate: Certificate },
  ) {
    this.name = name;
    this.handler = handler ?? ((_req, res) => answer(res, 200, name));
    const listener: RequestListener = (req, res) => {
      this.#note(req);
      this.handler(req, res);
    };
    this.server = tls === undefined ? createServer(listener) : createTlsServer(tls.certificate, listener);
    this.#origin = tls === undefined ? 'http://127.0.0.1' : `https://${tls.host}`;
    this.server.keepAliveTimeout = 60_000;
    this.server.on('connection', (socket) => {
      this.connections += 1;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  get url(): string {
    return `${this.#origin}:${this.#port}`;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.#port, '127.0.0.1', () => resolve());
    });
    this.#port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #note(req: IncomingMessage): void {
    this.requests.push({
      method: req.method ?? '',
      url: req.url ?? '',
      headers: req.headers,
      rawHeaders: req.rawHeaders,
    });
  }
}

export function answer(
  res: ServerResponse,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, {
    'content-type': 'text/plain',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  res.end(body);
}
