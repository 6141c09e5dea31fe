import { createServer } from 'node:net';
import { tellParent } from './child.ts';

/**
 * The servers behind the proxies: they answer every request alike and look at as little of it as they can, so that
 * what is measured is the proxy. Prints the ports that it took.
 */
const SERVERS = 4;
const BODY = 'x'.repeat(1024);
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n` +
    `Content-Length: ${BODY.length}\r\nX-Amount: 1\r\n\r\n${BODY}`,
);
const HEAD_END = Buffer.from('\r\n\r\n');
const POST = 'P'.charCodeAt(0);

async function serve(): Promise<number> {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    let rest: Buffer | null = null;
    socket.on('data', (chunk: Buffer) => {
      const all: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
      rest = all;
      const end = all.indexOf(HEAD_END);
      if (end < 0) return;
      if (all[0] === POST && all.length < end + 4 + bodyLength(all.toString('latin1', 0, end))) return;
      rest = null;
      socket.write(ANSWER);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function bodyLength(head: string): number {
  return Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}

tellParent({ ports: await Promise.all(Array.from({ length: SERVERS }, serve)) });
