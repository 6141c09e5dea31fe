import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Handed out in this process: whoever got one may not listen on it yet, or may listen on it again after a restart. */
const handedOut = new Set<number>();

/**
 * Above the ports of well-known services, below those from which systems take the local ends of outgoing connections
 * (Linux from 32768, others from 49152): such a connection must not sit on a port before its owner listens on it.
 */
const FIRST_PORT = 20_000;
const END_PORT = 32_768;

/**
 * Ports on which nobody listens now, all different, each given out once in the life of this process. Only for what
 * cannot listen on port 0 itself and say which port it got: between now and its start another process may take it.
 */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(FIRST_PORT, END_PORT);
    if (handedOut.has(port)) continue;
    // Before the question, so that nobody here asks for the same one meanwhile.
    handedOut.add(port);
    if (await isFree(port, host)) ports.push(port);
  }
  return ports;
}

/** Whether somebody could listen there now. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    await new Promise((closed) => server.close(closed));
    return true;
  } catch {
    return false;
  }
}

/** Whether somebody listens there now. */
export async function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export async function freePort(host = '127.0.0.1'): Promise<number> {
  const [port] = await freePorts(1, host);
  if (port === undefined) throw new Error('unreachable: one port was asked for');
  return port;
}
