import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

interface TunnelEnd {
  readonly socket: Duplex;
  /** What this side already sent of the new protocol. */
  readonly early: Buffer;
}

/**
 * Joins two connections after a 101 answer (RFC 9110 section 7.8): the head goes to the client, then bytes go both ways
 * until the server's side is closed. `onClose` is called once, when nothing can reach the server any more.
 */
export function openTunnel(parts: {
  client: TunnelEnd;
  upstream: TunnelEnd;
  /** Fields of the 101 answer: name, value, name, value … */
  head: readonly string[];
  onClose: () => void;
}): void {
  const client = parts.client.socket;
  const upstream = parts.upstream.socket;
  for (const socket of [client, upstream]) {
    // Whatever broke, the other side learns of it by the close.
    socket.on('error', () => socket.destroy());
    if (socket instanceof Socket) socket.setTimeout(0).setNoDelay(true);
  }
  client.once('close', () => upstream.destroy());
  upstream.once('close', () => {
    parts.onClose();
    if (upstream.readableEnded) client.end(() => client.destroy());
    else client.destroy();
  });
  if (client.destroyed) upstream.destroy();

  let lines = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i + 1 < parts.head.length; i += 2) lines += `${parts.head[i]}: ${parts.head[i + 1]}\r\n`;
  client.write(`${lines}\r\n`, 'latin1');
  if (parts.upstream.early.length > 0) client.write(parts.upstream.early);
  if (parts.client.early.length > 0) upstream.write(parts.client.early);
  client.pipe(upstream);
  upstream.pipe(client);
}
