import { readdir, readFile, readlink } from 'node:fs/promises';

/** States of a TCP connection in which nothing is under way on it any more, or never was: TIME_WAIT, CLOSE, LISTEN. */
const WITHOUT_BUSINESS = new Set(['06', '07', '0A']);

/**
 * Ports of the other ends of a process's TCP connections, as /proc shows them (proc_pid_net(5), proc_pid_fd(5)): a process
 * that has none to a server has nothing in flight there. Null where the system does not show them.
 */
export async function connectedPorts(pid: number): Promise<ReadonlySet<number> | null> {
  try {
    const [sockets, ...tables] = await Promise.all([
      socketsOf(pid),
      ...['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
    ]);
    const ports = tables.flatMap((table) =>
      table
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => sockets.has(fields[9] ?? '') && !WITHOUT_BUSINESS.has(fields[3] ?? ''))
        .map((fields) => Number.parseInt(fields[2]?.split(':')[1] ?? '', 16)),
    );
    return new Set(ports);
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
