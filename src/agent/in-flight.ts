import { readFile } from 'node:fs/promises';

/** TCP_ESTABLISHED in include/net/tcp_states.h of Linux. */
const ESTABLISHED = '01';

/** Business in flight; null with no problem where no count is configured, null with one where it cannot be had. */
export interface InFlightCount {
  readonly inFlight: number | null;
  readonly inFlightProblem?: string;
}

export function uncounted(why: string): InFlightCount {
  return { inFlight: null, inFlightProblem: `What is in flight cannot be counted: ${why}.` };
}

/**
 * Established connections to a local port, as the operating system sees them: every one, idle ones too. Only Linux
 * tells.
 */
export async function countConnections(port: number): Promise<InFlightCount> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => undefined)),
  );
  const readable = tables.filter((table) => table !== undefined);
  if (readable.length === 0) return uncounted('this system shows no connections in /proc/net/tcp');
  return { inFlight: readable.reduce((sum, table) => sum + countEstablished(table, port), 0) };
}

/** Lines of proc_net(5): `sl local_address rem_address st …`, addresses as `HEX:PORT`. */
export function countEstablished(table: string, port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').filter((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === ESTABLISHED && local.endsWith(suffix);
  }).length;
}
