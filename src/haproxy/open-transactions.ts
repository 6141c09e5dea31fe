import type { RouteTable } from '../domain/routes/table.ts';
import { TABLES } from './layout.ts';
import { argument, type RuntimeConnection } from './runtime-api.ts';
import { hasPeersData, readTable } from './runtime-answers.ts';
import { FEW_SERVERS, TRANSACTION_TABLES, transactionsByServer } from './runtime-changes.ts';

/**
 * Open transactions by server, of draining servers only: who else has how many, nobody waits for. While those of a
 * process before this one are still being handed over, each of the servers may have one (invariant 5).
 *
 * @param serverIds - HAProxy's numbers of servers.
 * @param hasPredecessor - a process that this one replaced is still there.
 */
export async function openTransactions(
  connection: RuntimeConnection,
  parts: {
    table: RouteTable | null;
    serverIds: () => Promise<ReadonlyMap<string, number>>;
    hasPredecessor: boolean;
  },
): Promise<Map<string, number>> {
  const open = new Map<string, number>();
  const { table, hasPredecessor } = parts;
  if (table === null || table.transactions === null) return open;
  const draining = table.servers.filter(({ ingress }) => ingress === 'draining').map(({ name }) => name);
  const [endedTable = '', peers = ''] = await connection.send([`show table ${TABLES.ended}`, 'show peers']);
  const ended = readTable(endedTable).map(({ key }) => key);
  // What a server said to be over is forgotten in all tables, in this order: it is at no moment open again.
  await connection.send(
    ended.flatMap((id) => [
      ...TRANSACTION_TABLES.map((table) => `clear table ${table} key ${argument(id)}`),
      `clear table ${TABLES.ended} key ${argument(id)}`,
    ]),
  );
  if (draining.length === 0) return open;
  const atLeast = hasPredecessor && !hasPeersData(peers) ? 1 : 0;
  const counts = await countsOf(connection, draining, await parts.serverIds());
  draining.forEach((name, index) => open.set(name, Math.max(counts[index] ?? 0, atLeast)));
  return open;
}

async function countsOf(
  connection: RuntimeConnection,
  names: readonly string[],
  ids: ReadonlyMap<string, number>,
): Promise<number[]> {
  if (names.length > FEW_SERVERS) {
    const byServer = await transactionsByServer(connection);
    return names.map((name) => byServer.get(ids.get(name) ?? 0)?.length ?? 0);
  }
  const perTable = await Promise.all(
    TRANSACTION_TABLES.map((table) =>
      connection.send(names.map((name) => `show table ${table} data.server_id eq ${ids.get(name) ?? 0}`)),
    ),
  );
  return names.map((_, index) =>
    perTable.reduce((sum, answers) => sum + readTable(answers[index] ?? '').length, 0),
  );
}
