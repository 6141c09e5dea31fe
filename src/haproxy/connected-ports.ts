import { readdir, readlink } from 'node:fs/promises';
import { readTcpConnections, TCP_STATE } from '../os/tcp-connections.ts';

/** States in which nothing is under way on a connection any more, or never was. */
const WITHOUT_BUSINESS: readonly number[] = [TCP_STATE.timeWait, TCP_STATE.close, TCP_STATE.listen];

/**
 * Ports of the other ends of a process's TCP connections (proc_pid_fd(5)): a process that has none to a server has nothing
 * in flight there. Null where the system does not show them.
 */
export async function connectedPorts(pid: number): Promise<ReadonlySet<number> | null> {
  try {
    const [sockets, connections] = await Promise.all([socketsOf(pid), readTcpConnections(pid)]);
    if (connections === undefined) return null;
    const used = connections.filter(
      ({ inode, state }) => sockets.has(inode) && !WITHOUT_BUSINESS.includes(state),
    );
    return new Set(used.map(({ remotePort }) => remotePort));
  } catch {
    return null;
  }
}

/** Inodes of the sockets that the process has open. */
async function socketsOf(pid: number): Promise<ReadonlySet<string>> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all(
    (await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')),
  );
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}
