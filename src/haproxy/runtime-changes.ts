import type { RouteTable } from '../domain/routes/table.ts';
import { type filesIn, TABLES } from './layout.ts';
import { lookupEntries } from './map-files.ts';
import type { MapEntry } from './route-map.ts';
import { argument, expectSilence, type RuntimeConnection } from './runtime-api.ts';
import { isUnknownCommand, readPreparedVersion, readTable, type ServerRow } from './runtime-answers.ts';
import { addressText } from './server-address.ts';
import type { ServerState } from './server-states.ts';
import { stateCommands } from './state-script.ts';
import { differing, serverIds, type Target } from './target.ts';

/** Each open transaction is in one of them. */
export const TRANSACTION_TABLES = [TABLES.transactions, TABLES.unallotted] as const;

/** Entries sent in one batch: the answers of more would be held in memory for nothing. */
const BATCH = 500;
/** For each of so many servers HAProxy searches the table of transactions; for more of them it is read once, as a whole. */
export const FEW_SERVERS = 16;

interface StateChange {
  readonly row: ServerRow;
  readonly state: ServerState;
}

/** For fewer changes of states HAProxy's search for each of the servers is not worth to be saved. */
const FEW_STATES = 100;

/**
 * Brings a target into effect, as far as its rows are not as it wants them. Which backends have servers that were changed.
 *
 * @throws ChangeoverError `GatewayUnreachable`
 */
export async function applyTarget(
  connection: RuntimeConnection,
  target: Target,
  { files, lookup }: { files: ReturnType<typeof filesIn>; lookup: ReadonlyMap<string, string> | null },
): Promise<ReadonlySet<string>> {
  const { table, rows } = target;
  const changes = differing(target, rows);
  const moved = await setAddresses(connection, target);
  // First those that may be chosen, then the choice, then those that no longer are: at no moment does the policy lead
  // to a slot whose servers are not open yet (invariants 1 and 3).
  await setStates(
    connection,
    changes.filter(({ state }) => state === 'ready'),
  );
  if (lookup !== null) await fillMap(connection, files.lookup, lookupEntries(lookup));
  await fillMap(connection, files.routes, target.entries);
  await setStates(
    connection,
    changes.filter(({ state }) => state !== 'ready'),
  );
  await cutTransactions(connection, table, rows);
  return new Set([...moved, ...changes.map(({ row }) => row)].map(({ backend }) => backend));
}

async function setStates(connection: RuntimeConnection, changes: readonly StateChange[]): Promise<void> {
  if (changes.length > FEW_STATES && (await setManyStates(connection, changes))) return;
  // By number HAProxy finds a server quicker than by name.
  const commands = changes.map(({ row, state }) => `set server ${row.backend}/#${row.id} state ${state}`);
  expectSilence(commands, await connection.send(commands));
}

/** False, and nothing done, where HAProxy was started without the script for it. */
async function setManyStates(
  connection: RuntimeConnection,
  changes: readonly StateChange[],
): Promise<boolean> {
  const [first = '', ...others] = stateCommands(changes);
  const answers = await connection.send([first]);
  if (isUnknownCommand(answers[0] ?? '')) return false;
  expectSilence([first], answers);
  expectSilence(others, await connection.send(others));
  return true;
}

/** Servers that moved since the configuration was rendered. Names are HAProxy's to resolve. */
async function setAddresses(
  connection: RuntimeConnection,
  { rows, addresses }: Target,
): Promise<readonly ServerRow[]> {
  const moved = rows.flatMap((row) => {
    const to = addresses.get(row.name);
    if (to === undefined || !/^[\d.]+$/.test(to.host) || row.address === addressText(to)) return [];
    return [{ row, to }];
  });
  const commands = moved.map(
    ({ row, to }) => `set server ${row.backend}/#${row.id} addr ${to.host} port ${to.port}`,
  );
  await connection.send(commands);
  return moved.map(({ row }) => row);
}

/** Transactions of a server that takes nothing any more are over there (a draining one keeps them). */
async function cutTransactions(
  connection: RuntimeConnection,
  table: RouteTable,
  rows: readonly ServerRow[],
): Promise<void> {
  if (table.transactions === null) return;
  const ids = serverIds(rows);
  const closed = table.servers
    .filter(({ ingress }) => ingress === 'closed')
    .map(({ name }) => ids.get(name) ?? 0);
  if (closed.length <= FEW_SERVERS) {
    await connection.send(
      closed.flatMap((id) =>
        TRANSACTION_TABLES.map((table) => `clear table ${table} data.server_id eq ${id}`),
      ),
    );
    return;
  }
  const open = await transactionsByServer(connection);
  const cut = closed.flatMap((id) => open.get(id) ?? []);
  await connection.send(
    cut.flatMap((key) => TRANSACTION_TABLES.map((table) => `clear table ${table} key ${argument(key)}`)),
  );
}

/** Open transactions of each server, by HAProxy's number of it. */
export async function transactionsByServer(
  connection: RuntimeConnection,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const answers = await connection.send(TRANSACTION_TABLES.map((table) => `show table ${table}`));
  const byServer = new Map<number, string[]>();
  for (const { key, fields } of answers.flatMap(readTable)) {
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
