import { z } from 'zod';
import { ClientConnection } from '../gateway/client-connection.ts';
import { tellParent } from '../gateway/child.ts';
import { startArrivalServer } from './arrivals.ts';
import { nowMs } from './clock.ts';

/**
 * Servers of two versions and the clients of all gateways, in one process: what the bench measures is between them.
 * Requests go to the gateways in turn at a fixed rate, whatever becomes of the answers.
 */
const SIDES = 2;
const TICK_MS = 1;
/** Beyond, the machine has no time for this process or a gateway: requests are left out, which is counted. */
const MAX_CONNECTIONS = 64;

const orderSchema = z.discriminatedUnion('do', [
  z.object({ do: z.literal('send'), ports: z.array(z.number()), ratePerSecond: z.number() }),
  z.object({ do: z.literal('stop') }),
  z.object({ do: z.literal('tell'), id: z.number() }),
]);

const [gateways = 1] = process.argv.slice(2).map(Number);
const servers = await Promise.all(Array.from({ length: SIDES }, () => startArrivalServer(gateways)));
let timer: NodeJS.Timeout | null = null;
let connections: ClientConnection[][] = [];
let failed = 0;
let omitted = 0;
let answered = 0;

function send(ports: readonly number[], ratePerSecond: number): void {
  stop();
  connections = ports.map(() => []);
  const busy = ports.map(() => 0);
  const startedMs = nowMs();
  let sent = 0;
  const sendOne = (gateway: number): void => {
    const idle = connections[gateway] ?? [];
    let connection = idle.pop();
    while (connection?.closed === true) connection = idle.pop();
    if (connection === undefined && (busy[gateway] ?? 0) >= MAX_CONNECTIONS) {
      omitted += 1;
      return;
    }
    const used = connection ?? new ClientConnection(ports[gateway] ?? 0);
    busy[gateway] = (busy[gateway] ?? 0) + 1;
    used.onDone = (status) => {
      busy[gateway] = (busy[gateway] ?? 0) - 1;
      if (status === 200) answered += 1;
      else failed += 1;
      if (!used.closed) idle.push(used);
    };
    used.send(`GET /page HTTP/1.1\r\nHost: bench.example\r\nX-Gateway: ${gateway}\r\n\r\n`);
  };
  timer = setInterval(() => {
    const due = Math.floor(((nowMs() - startedMs) * ratePerSecond) / 1000);
    for (; sent < due; sent += 1) sendOne(sent % ports.length);
  }, TICK_MS);
}

function stop(): void {
  if (timer !== null) clearInterval(timer);
  timer = null;
  for (const connection of connections.flat()) {
    connection.onDone = null;
    connection.destroy();
  }
  connections = [];
}

process.on('message', (message) => {
  const order = orderSchema.parse(message);
  switch (order.do) {
    case 'send':
      failed = 0;
      omitted = 0;
      answered = 0;
      send(order.ports, order.ratePerSecond);
      return;
    case 'stop':
      stop();
      return;
    case 'tell': {
      const lastArrivalMs = servers.map((server) => [...server.lastArrivalMs]);
      process.send?.({ id: order.id, lastArrivalMs, failed, omitted, answered });
    }
  }
});
process.once('SIGTERM', () => process.exit(0));
tellParent({ ports: servers.map(({ port }) => port) });
