import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { freePorts } from '../../../src/dev-server/free-port.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import { SERVICE } from './gateway-fixture.ts';
import { answer } from './upstream-server.ts';

/** The controller's side of pulling: a long poll that answers once there is something newer. */
export class StubController implements AsyncDisposable {
  table: RouteTable | null;
  readonly acknowledged: number[] = [];
  /** Without it nobody is answered. */
  token: string | undefined;
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  constructor(table: RouteTable | null) {
    this.table = table;
    this.#server = createServer((req, res) => void this.#answer(req, res));
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this;
  }

  /** A port on which it may listen later; nobody does until then. */
  async reserve(): Promise<number> {
    const [port = 0] = await freePorts(1);
    return port;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  activate(table: RouteTable): void {
    this.table = table;
    for (const wake of this.#waiting) wake();
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? '', this.url);
    if (this.token !== undefined && req.headers.authorization !== `Bearer ${this.token}`) {
      answer(res, 401, '{"error":{"code":"Unauthorized","message":"its token is needed."}}');
      return;
    }
    if (req.method === 'POST' && url.pathname === `/v1/services/${SERVICE}/routes/ack`) {
      this.acknowledged.push((JSON.parse(await text(req)) as { version: number }).version);
      res.writeHead(204).end();
      return;
    }
    expect(url.pathname).toBe(`/v1/services/${SERVICE}/routes`);
    const known = req.headers['if-none-match'];
    if (
      this.table !== null &&
      known === `"${this.table.version}"` &&
      Number(url.searchParams.get('waitMs')) > 0
    ) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        req.socket.once('close', resolve);
      });
    }
    if (this.table === null) answer(res, 404, '{"error":{"code":"ServiceUnknown","message":"not adopted"}}');
    else if (known === `"${this.table.version}"`) res.writeHead(304).end();
    else answer(res, 200, JSON.stringify(this.table), { etag: `"${this.table.version}"` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
