import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';

/** Handed out in this process: the kernel may offer a port again before its new owner listens on it. */
const handedOut = new Set<number>();

/**
 * Ports on which nobody listens now, all different, each given out once in the life of this process. Only for what
 * cannot listen on port 0 itself and say which port it got: between now and its start another process may take it.
 */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const servers: Server[] = [];
  const ports: number[] = [];
  try {
    while (ports.length < count) {
      const server = createServer().listen(0, host);
      servers.push(server);
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      if (handedOut.has(port)) continue;
      handedOut.add(port);
      ports.push(port);
    }
    return ports;
  } finally {
    // All are held until the last one is found, so that none is found twice.
    await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  }
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
