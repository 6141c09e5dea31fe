import { createServer, type Server } from 'node:net';
import { nowMs } from './clock.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok');
const GATEWAY = /\r\nx-gateway: (\d+)\r\n/i;

/** The servers of one version: they answer at once, and remember when the last request of each gateway arrived. */
export interface ArrivalServer {
  readonly port: number;
  /** By number of the gateway; 0 where none came. Milliseconds of the clock that all processes share. */
  readonly lastArrivalMs: Float64Array;
}

export async function startArrivalServer(gateways: number): Promise<ArrivalServer> {
  const lastArrivalMs = new Float64Array(gateways);
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    let rest: Buffer | null = null;
    socket.on('data', (chunk: Buffer) => {
      const arrivedMs = nowMs();
      const all: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
      rest = null;
      const end = all.indexOf(HEAD_END);
      if (end < 0) {
        rest = all;
        return;
      }
      const gateway = Number(GATEWAY.exec(all.toString('latin1', 0, end + 2))?.[1] ?? -1);
      if (gateway >= 0) lastArrivalMs[gateway] = arrivedMs;
      socket.write(ANSWER);
    });
  });
  return { port: await listening(server), lastArrivalMs };
}

/** On all addresses of this host: 127.0.0.0/8 is one machine for each server of a large table. */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
