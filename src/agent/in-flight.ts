import { PROC, readTcpConnections, TCP_STATE, type TcpConnection } from '../os/tcp-connections.ts';

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
export async function countConnections(port: number, { proc = PROC } = {}): Promise<InFlightCount> {
  let connections: TcpConnection[] | undefined;
  try {
    connections = await readTcpConnections('self', { proc });
  } catch (error) {
    return uncounted(error instanceof Error ? error.message : String(error));
  }
  if (connections === undefined) return uncounted('this system shows no connections in /proc/net/tcp');
  const { established } = TCP_STATE;
  return {
    inFlight: connections.filter(({ state, localPort }) => state === established && localPort === port)
      .length,
  };
}
