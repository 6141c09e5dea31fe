import { readFile } from 'node:fs/promises';

/** TCP_ESTABLISHED in include/net/tcp_states.h of Linux. */
const ESTABLISHED = '01';

/**
 * Established connections to a local port, as the operating system sees them: every one, idle ones too. Null where the
 * system does not tell (anything but Linux).
 */
export async function countConnections(port: number): Promise<number | null> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => undefined)),
  );
  const readable = tables.filter((table) => table !== undefined);
  if (readable.length === 0) return null;
  return readable.reduce((sum, table) => sum + countEstablished(table, port), 0);
}

/** Lines of proc_net(5): `sl local_address rem_address st …`, addresses as `HEX:PORT`. */
export function countEstablished(table: string, port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').filter((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === ESTABLISHED && local.endsWith(suffix);
  }).length;
}
