import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Treatment = number | 'break' | 'refuse';
/** What the proxy does to a request: pass it to that server, break the connection, or answer 502. */
export type Carelessness = (request: IncomingMessage, count: number) => Treatment | Promise<Treatment>;

/** A gateway as it should not be, in front of real servers: to see that the load generator notices. */
export interface CarelessProxy extends AsyncDisposable {
  readonly url: string;
}

export async function createCarelessProxy(
  servers: readonly string[],
  treat: Carelessness,
): Promise<CarelessProxy> {
  let count = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    count += 1;
    const treatment = await treat(request, count);
    if (treatment === 'break') {
      request.socket.destroy();
      return;
    }
    if (treatment === 'refuse') {
      request.resume();
      response.writeHead(502).end();
      return;
    }
    const { method, headers } = request;
    const out = forward(new URL(request.url ?? '/', servers[treatment]), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(out);
  };
  const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
