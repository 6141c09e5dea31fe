import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import { answer } from './upstream-server.ts';

/** The flow controller's side of pulling, for many services. */
export class ManyRoutes implements AsyncDisposable {
  readonly tables = new Map<string, RouteTable>();
  readonly #waiting = new Set<ServerResponse>();
  readonly #server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '', 'http://127.0.0.1');
    const [, service = ''] = /^\/v1\/services\/([^/]+)\/routes/.exec(pathname) ?? [];
    const table = this.tables.get(service);
    if (req.method === 'POST') req.resume().on('end', () => res.writeHead(204).end());
    else if (table === undefined)
      answer(res, 404, '{"error":{"code":"ServiceUnknown","message":"not adopted"}}');
    else if (req.headers['if-none-match'] !== `"${table.version}"`)
      answer(res, 200, JSON.stringify(table), { etag: `"${table.version}"` });
    else if (Number(searchParams.get('waitMs')) > 0) this.#waiting.add(res);
    else res.writeHead(304).end();
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  activate(tables: readonly RouteTable[]): void {
    for (const table of tables) this.tables.set(table.service, table);
    for (const res of this.#waiting) res.writeHead(304).end();
    this.#waiting.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}
