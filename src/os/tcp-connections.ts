import { readFile } from 'node:fs/promises';
import { isAbsent } from './not-shown.ts';

/** States in include/net/tcp_states.h of Linux. */
export const TCP_STATE = { established: 1, timeWait: 6, close: 7, listen: 10 } as const;

/** A TCP socket of this machine or of a network namespace. */
export interface TcpConnection {
  readonly localPort: number;
  /** Of the other end. */
  readonly remotePort: number;
  /** One of `TCP_STATE`, or another. */
  readonly state: number;
  /** By which a process's open files name it. */
  readonly inode: string;
}

/** Where the system shows its processes. */
export const PROC = '/proc';

/**
 * What the network namespace of a process shows, or that of this one; undefined where the system shows none.
 *
 * @throws Error where a table is there and cannot be read: the other one alone would be too few.
 */
export async function readTcpConnections(
  pid: number | 'self' = 'self',
  { proc = PROC } = {},
): Promise<TcpConnection[] | undefined> {
  const tables = await Promise.all(
    // One of them is not there where IPv6 is switched off.
    ['tcp', 'tcp6'].map((name) =>
      readFile(`${proc}/${pid}/net/${name}`, 'utf8').catch((error: unknown) => {
        if (!isAbsent(error)) throw error;
        return undefined;
      }),
    ),
  );
  const readable = tables.filter((table) => table !== undefined);
  return readable.length === 0 ? undefined : readable.flatMap(parseTcpTable);
}

/** Lines of proc_pid_net(5), below a header: `sl local_address rem_address st …`, addresses as `HEX:PORT`. */
export function parseTcpTable(table: string): TcpConnection[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length >= 10)
    .map(([, local = '', remote = '', state = '', , , , , , inode = '']) => ({
      localPort: portOf(local),
      remotePort: portOf(remote),
      state: Number.parseInt(state, 16),
      inode,
    }));
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.lastIndexOf(':') + 1), 16);
}
