import { readdir, readlink } from 'node:fs/promises';
import { isAbsent } from '../os/not-shown.ts';
import { PROC, readTcpConnections, TCP_STATE } from '../os/tcp-connections.ts';

/** States in which nothing is under way on a connection any more, or never was. */
const WITHOUT_BUSINESS: readonly number[] = [TCP_STATE.timeWait, TCP_STATE.close, TCP_STATE.listen];

/**
 * Ports of the other ends of a process's TCP connections (proc_pid_fd(5)): a process that has none to a server has nothing
 * in flight there. Null where the system does not show them all.
 */
export async function connectedPorts(pid: number, { proc = PROC } = {}): Promise<ReadonlySet<number> | null> {
  try {
    const [sockets, connections] = await Promise.all([
      socketsOf(`${proc}/${pid}/fd`),
      readTcpConnections(pid, { proc }),
    ]);
    if (connections === undefined) return null;
    const used = connections.filter(
      ({ inode, state }) => sockets.has(inode) && !WITHOUT_BUSINESS.includes(state),
    );
    return new Set(used.map(({ remotePort }) => remotePort));
  } catch {
    return null;
  }
}

/** Inodes of the sockets that the process has open, by the folder of its open files. */
async function socketsOf(folder: string): Promise<ReadonlySet<string>> {
  const links = await Promise.all(
    (await readdir(folder)).map((name) =>
      readlink(`${folder}/${name}`).catch((error: unknown) => {
        // Closed meanwhile; of any other, nobody knows to whom it is connected.
        if (!isAbsent(error)) throw error;
        return '';
      }),
    ),
  );
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}
