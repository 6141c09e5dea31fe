import type { RouteTable } from '../domain/routes/table.ts';
import { slotName, TABLES } from './layout.ts';
import type { MapEntry } from './route-map.ts';
import { argument, expectSilence, type RuntimeConnection } from './runtime-api.ts';
import { readPreparedVersion, readServers, readTable, type ServerRow } from './runtime-answers.ts';
import type { ServerState } from './server-states.ts';

/** Entries sent in one batch: the answers of more would be held in memory for nothing. */
const BATCH = 500;
/** For each of so many servers HAProxy searches the table of transactions; for more of them it is read once, as a whole. */
export const FEW_SERVERS = 16;

/** The servers of a service's slots, as HAProxy has them. */
export async function serversOf(connection: RuntimeConnection, service: string): Promise<ServerRow[]> {
  const [answer = ''] = await connection.send(['show servers state']);
  const prefix = slotName(service, 0).slice(0, -1);
  return readServers(answer).filter(({ backend }) => backend.startsWith(prefix));
}

export async function setStates(
  connection: RuntimeConnection,
  changes: readonly { row: ServerRow; state: ServerState }[],
): Promise<void> {
  // HAProxy goes through its servers for each command; by number that is quicker.
  const commands = changes.map(({ row, state }) => `set server ${row.backend}/#${row.id} state ${state}`);
  expectSilence(commands, await connection.send(commands));
}

/** Servers that moved since the configuration was rendered. Names are HAProxy's to resolve. */
export async function setAddresses(
  connection: RuntimeConnection,
  table: RouteTable,
  rows: readonly ServerRow[],
): Promise<void> {
  const wanted = new Map(table.servers.map(({ name, url }) => [name, new URL(url)]));
  const commands = rows.flatMap(({ backend, name, address }) => {
    const url = wanted.get(name);
    if (url === undefined || !/^[\d.]+$/.test(url.hostname)) return [];
    const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
    if (address === `${url.hostname}:${port}`) return [];
    return [`set server ${backend}/${name} addr ${url.hostname} port ${port}`];
  });
  await connection.send(commands);
}

/** Transactions of a server that takes nothing any more are over there (a draining one keeps them). */
export async function cutTransactions(
  connection: RuntimeConnection,
  table: RouteTable,
  rows: readonly ServerRow[],
): Promise<void> {
  if (table.transactions === null) return;
  const ids = new Map(rows.map(({ name, id }) => [name, id]));
  const closed = table.servers
    .filter(({ ingress }) => ingress === 'closed')
    .map(({ name }) => ids.get(name) ?? 0);
  if (closed.length <= FEW_SERVERS) {
    await connection.send(
      closed.flatMap((id) =>
        [TABLES.transactions, TABLES.allotted].map((table) => `clear table ${table} data.server_id eq ${id}`),
      ),
    );
    return;
  }
  const open = await transactionsByServer(connection);
  const cut = closed.flatMap((id) => open.get(id) ?? []);
  await connection.send(
    cut.flatMap((key) =>
      [TABLES.transactions, TABLES.allotted].map((table) => `clear table ${table} key ${argument(key)}`),
    ),
  );
}

/** Open transactions of each server, by HAProxy's number of it. */
export async function transactionsByServer(
  connection: RuntimeConnection,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const [answer = ''] = await connection.send([`show table ${TABLES.transactions}`]);
  const byServer = new Map<number, string[]>();
  for (const { key, fields } of readTable(answer)) {
    const id = fields.get('server_id') ?? 0;
    const known = byServer.get(id);
    if (known === undefined) byServer.set(id, [key]);
    else known.push(key);
  }
  return byServer;
}

/** Replaces a map as a whole: entries of the next version are invisible until the one moment of `commit`. */
export async function fillMap(
  connection: RuntimeConnection,
  file: string,
  entries: readonly MapEntry[],
): Promise<void> {
  const [prepared = ''] = await connection.send([`prepare map ${file}`]);
  const version = readPreparedVersion(prepared);
  for (let at = 0; at < entries.length; at += BATCH) {
    const commands = entries
      .slice(at, at + BATCH)
      .map(([key, value]) => `add map @${version} ${file} ${key} ${value}`);
    expectSilence(commands, await connection.send(commands));
  }
  const commit = [`commit map @${version} ${file}`];
  expectSilence(commit, await connection.send(commit));
}
