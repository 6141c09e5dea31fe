import { mkdir, readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from '../gateway/data-plane.ts';
import { LookupFile, resolveLookup } from '../gateway/lookup-file.ts';
import {
  encodedOctets,
  filesIn,
  MARKS,
  type Marks,
  marksOf,
  SLOT_BASE,
  slotName,
  SPECIAL,
  TABLES,
} from './layout.ts';
import { assignSlots, type MapEntry, routeMap } from './route-map.ts';
import { expectSilence, RuntimeConnection, type SocketAddress } from './runtime-api.ts';
import {
  readMapValue,
  readPreparedVersion,
  readProcess,
  readServers,
  type ServerRow,
} from './runtime-answers.ts';
import { type ServerState, serverStateFile } from './server-states.ts';

/** Entries sent in one batch: the answers of more would be held in memory for nothing. */
const BATCH = 500;

/** What a table means for this HAProxy. */
interface Target {
  readonly table: RouteTable;
  readonly slots: ReadonlyMap<string, number>;
  readonly entries: readonly MapEntry[];
}

/**
 * An HAProxy as the data plane. It is told what changes, by the Runtime API, and asked what it executes: nothing is taken
 * from memory that HAProxy itself can say. Files are written before the runtime changes, so that an HAProxy that starts
 * anew at any moment has routes that are at least as new as what it executed (invariant 4).
 */
export class HaproxyPlane implements DataPlane {
  readonly #service: string;
  readonly #address: SocketAddress;
  readonly #files: ReturnType<typeof filesIn>;
  readonly #filesDir: string;
  readonly #lookupDir: string | undefined;
  readonly #logger: Logger;
  #target: Target | null = null;
  #lookup: LookupFile | null = null;
  #connection: RuntimeConnection | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  /** The process in which everything was found as it has to be. */
  #established = '';
  /** Called with the connection to a process before another one takes its place. */
  onReplaced: (old: RuntimeConnection) => void = (old) => old.close();
  /** Called before slots may go to other releases. */
  beforeChange: () => Promise<void> = () => Promise.resolve();

  constructor(parts: {
    service: string;
    address: SocketAddress;
    filesDir: string;
    lookupDir: string | undefined;
    logger: Logger;
  }) {
    this.#service = parts.service;
    this.#address = parts.address;
    this.#filesDir = parts.filesDir;
    this.#files = filesIn(parts.filesDir);
    this.#lookupDir = parts.lookupDir;
    this.#logger = parts.logger;
  }

  get table(): RouteTable | null {
    return this.#target?.table ?? null;
  }

  /** Release of each slot, by the name of its backend. */
  get releases(): ReadonlyMap<string, string> {
    const slots = this.#target?.slots ?? new Map<string, number>();
    return new Map([...slots].map(([release, slot]) => [slotName(this.#service, slot), release]));
  }

  async prepare(table: RouteTable, { restored }: { restored: boolean }): Promise<() => Promise<void>> {
    const lookup = await this.#openLookup(table, restored);
    if (!restored) {
      const connection = await this.#connect();
      await this.#refuseOtherRules(connection, table);
      this.#targetOf(table, await this.#servers(connection));
    }
    return async () => {
      const previous = this.#lookup;
      this.#lookup = lookup;
      if (previous !== lookup) previous?.close();
      if (lookup !== null) lookup.onReload = () => void this.#reloadLookup();
      if (restored) {
        // HAProxy need not be there yet; whoever asks for its state sees to it that this table is in effect.
        this.#target = { table, slots: await this.#storedSlots(), entries: [] };
        return;
      }
      await this.beforeChange();
      await this.#inTurn(() => this.#establish(table));
    };
  }

  async check(table: RouteTable): Promise<void> {
    const lookup = await this.#openLookup(table, false);
    try {
      const connection = await this.#connect();
      await this.#refuseOtherRules(connection, table);
      this.#targetOf(table, await this.#servers(connection));
    } finally {
      if (lookup !== this.#lookup) lookup?.close();
    }
  }

  /**
   * A connection to the HAProxy that runs now, and the version of the table that it executes, read back from its map. An
   * HAProxy that is not the one that was left is mended first, so that it never speaks for a table it does not execute.
   */
  executing(): Promise<{ connection: RuntimeConnection; process: string; version: number }> {
    return this.#inTurn(async () => {
      const connection = await this.#connect();
      const [info = '', found = ''] = await connection.send([
        'show info',
        `get map ${this.#files.routes} ${SPECIAL.version}`,
      ]);
      const process = readProcess(info);
      const table = this.#target?.table;
      let version = Number(readMapValue(found) ?? 0);
      if (table !== undefined && (process.id !== this.#established || version !== table.version)) {
        this.#logger.warn(
          { process: process.id, version },
          'another HAProxy process: its routes are established anew',
        );
        await this.#establish(table);
        version = table.version;
      }
      return { connection, process: process.id, version: table === undefined ? 0 : version };
    });
  }

  close(): void {
    this.#lookup?.close();
    this.#connection?.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  /**
   * A connection to the process that accepts connections now. After a reload the old process lives on for what it has
   * under way, and would still answer.
   */
  async #connect(): Promise<RuntimeConnection> {
    const known = this.#connection;
    if (known !== null && !known.closed) {
      const stopping = await known.send(['show info']).then(
        ([info = '']) => readProcess(info).stopping,
        () => true,
      );
      if (!stopping) return known;
    }
    const connection = await RuntimeConnection.open(this.#address);
    this.#connection = connection;
    if (known !== null) this.onReplaced(known);
    return connection;
  }

  /** HAProxy's numbers of servers, which stick tables hold. */
  async serverIds(connection: RuntimeConnection): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#servers(connection)).map(({ name, id }) => [name, id]));
  }

  async #servers(connection: RuntimeConnection): Promise<ServerRow[]> {
    const [answer = ''] = await connection.send(['show servers state']);
    const prefix = slotName(this.#service, 0).slice(0, -1);
    return readServers(answer).filter(({ backend }) => backend.startsWith(prefix));
  }

  /** @throws ChangeoverError `InvalidRequest` where the configuration lacks servers or slots. */
  #targetOf(table: RouteTable, rows: readonly ServerRow[], before = this.#target?.slots): Target {
    const slotCount = new Set(rows.map(({ backend }) => backend)).size;
    if (slotCount === 0) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy has no backend ${slotName(this.#service, 1)}; run \`changeover haproxy render\` for the plan of ${this.#service} and reload it.`,
      );
    }
    const serverIds = new Map(rows.map(({ name, id }) => [name, id]));
    const missing = table.servers.filter(({ name }) => !serverIds.has(name)).map(({ name }) => name);
    if (missing.length > 0) {
      throw new ChangeoverError(
        'InvalidRequest',
        `HAProxy's configuration lacks the servers ${missing.join(', ')}; run \`changeover haproxy render\` for the plan and reload it.`,
      );
    }
    const slots = assignSlots(table, { before: before ?? new Map(), slots: slotCount });
    return { table, slots, entries: routeMap(table, { slots, slotCount, serverIds }) };
  }

  /** Rules are text of the configuration: a table that counts by others must not be executed as if it were the same. */
  async #refuseOtherRules(connection: RuntimeConnection, table: RouteTable): Promise<void> {
    const names = Object.keys(MARKS) as (keyof Marks)[];
    const answers = await connection.send(names.map((name) => `show env ${MARKS[name]}`));
    const wanted = marksOf({
      key: table.split?.key ?? { from: 'header', name: '-' },
      policy: table.split?.policy.kind ?? 'tail',
      transactions: table.transactions,
      measure: table.measure,
    });
    const differing = names.filter((name, index) => {
      const running = /=(.*)$/m.exec(answers[index] ?? '')?.[1]?.trim() ?? '';
      return decodeURIComponent(running) !== wanted[name];
    });
    if (differing.length === 0) return;
    if (table.split === null) {
      // Without a trial nothing is decided by them, and a plan's rules come into effect with its trial.
      this.#logger.debug({ differing }, 'the configuration has other rules than these routes');
      return;
    }
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy's configuration was rendered for another ${differing.join(', ')} than these routes have; run \`changeover haproxy render\` for the plan and reload it (\`changeover haproxy check\` shows what differs).`,
    );
  }

  async #establish(table: RouteTable): Promise<void> {
    this.#established = '';
    const connection = await this.#connect();
    const rows = await this.#servers(connection);
    const target = this.#targetOf(table, rows, await this.#storedSlots());
    const ingress = new Map(table.servers.map((server) => [server.name, server]));
    const stateIn = (backend: string, name: string): ServerState => {
      const server = ingress.get(name);
      if (server === undefined || slotName(this.#service, target.slots.get(server.release) ?? 0) !== backend)
        return 'maint';
      return server.ingress === 'open' ? 'ready' : server.ingress === 'draining' ? 'drain' : 'maint';
    };
    await this.#writeFiles(target, rows, stateIn);
    this.#target = target;

    const commands = rows
      .filter((row) => stateIn(row.backend, row.name) !== row.state)
      .map((row) => ({ row, state: stateIn(row.backend, row.name) }));
    const opening = commands.filter(({ state }) => state === 'ready');
    const leaving = commands.filter(({ state }) => state !== 'ready');
    await this.#setAddresses(connection, table, rows);
    // First those that may be chosen, then the choice, then those that no longer are: at no moment does the policy lead
    // to a slot whose servers are not open yet (invariants 1 and 3).
    await this.#set(connection, opening);
    if (this.#lookup !== null)
      await this.#fillMap(connection, this.#files.lookup, lookupEntries(this.#lookup.values));
    await this.#fillMap(connection, this.#files.routes, target.entries);
    await this.#set(connection, leaving);
    await this.#cutTransactions(connection, table, rows);
    await this.#verify(connection, target, stateIn);
  }

  async #set(
    connection: RuntimeConnection,
    changes: readonly { row: ServerRow; state: ServerState }[],
  ): Promise<void> {
    const commands = changes.map(({ row, state }) => `set server ${row.backend}/${row.name} state ${state}`);
    expectSilence(commands, await connection.send(commands));
  }

  /** Servers that moved since the configuration was rendered. Names are HAProxy's to resolve. */
  async #setAddresses(
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
  async #cutTransactions(
    connection: RuntimeConnection,
    table: RouteTable,
    rows: readonly ServerRow[],
  ): Promise<void> {
    if (table.transactions === null) return;
    const ids = new Map(rows.map(({ name, id }) => [name, id]));
    const closed = table.servers.filter(({ ingress }) => ingress === 'closed');
    await connection.send(
      closed.map(({ name }) => `clear table ${TABLES.transactions} data.server_id eq ${ids.get(name) ?? 0}`),
    );
  }

  /** Replaces a map as a whole: entries of the next version are invisible until the one moment of `commit`. */
  async #fillMap(connection: RuntimeConnection, file: string, entries: readonly MapEntry[]): Promise<void> {
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

  /** @throws ChangeoverError `GatewayUnreachable` unless HAProxy says itself that all is as it has to be. */
  async #verify(
    connection: RuntimeConnection,
    target: Target,
    stateIn: (backend: string, name: string) => ServerState,
  ): Promise<void> {
    const [info = '', found = ''] = await connection.send([
      'show info',
      `get map ${this.#files.routes} ${SPECIAL.version}`,
    ]);
    const version = Number(readMapValue(found) ?? 0);
    const wrong = (await this.#servers(connection)).filter(
      (row) => stateIn(row.backend, row.name) !== row.state,
    );
    if (version !== target.table.version || wrong.length > 0) {
      const servers = wrong.map(({ backend, name, state }) => `${backend}/${name} is ${state}`).join(', ');
      throw new ChangeoverError(
        'GatewayUnreachable',
        `HAProxy did not take over the routes: it has version ${version} instead of ${target.table.version}. ${servers}`,
      );
    }
    const process = readProcess(info);
    if (!process.stopping) this.#established = process.id;
  }

  async #writeFiles(
    target: Target,
    rows: readonly ServerRow[],
    stateIn: (backend: string, name: string) => ServerState,
  ): Promise<void> {
    await mkdir(this.#filesDir, { recursive: true });
    const urls = new Map(target.table.servers.map(({ name, url }) => [name, new URL(url)]));
    const servers = rows
      .filter(({ backend }) => backend === slotName(this.#service, 1))
      .map(({ id, name, address }) => ({ id, name, url: urls.get(name) ?? new URL(`http://${address}`) }));
    const slotCount = new Set(rows.map(({ backend }) => backend)).size;
    if (this.#lookup !== null)
      await writeFileAtomic(this.#files.lookup, mapText(lookupEntries(this.#lookup.values)));
    await writeFileAtomic(
      this.#files.servers,
      serverStateFile(this.#service, slotCount, servers, (slot, name) =>
        stateIn(slotName(this.#service, slot), name),
      ),
    );
    await writeFileAtomic(this.#files.routes, mapText(target.entries));
  }

  /** Which release has which slot, by the file that HAProxy would start with. */
  async #storedSlots(): Promise<Map<string, number>> {
    const slots = new Map<string, number>();
    const text = await readFile(this.#files.routes, 'utf8').catch(() => '');
    for (const line of text.split('\n')) {
      const [key = '', value = '-'] = line.split(' ');
      const slot = /^\d+$/.test(key) ? Number(BigInt(key) - SLOT_BASE) : 0;
      if (slot > 0 && slot < 1_000 && value !== '-') slots.set(decodeURIComponent(value), slot);
    }
    return slots;
  }

  async #openLookup(table: RouteTable, tolerate: boolean): Promise<LookupFile | null> {
    const name = table.split?.key.lookup;
    if (name === undefined) return null;
    const path = await resolveLookup(name, this.#lookupDir);
    if (this.#lookup?.path === path) return this.#lookup;
    const lookup = new LookupFile(path, this.#logger);
    try {
      await lookup.load();
    } catch (error) {
      if (!tolerate || !(error instanceof ChangeoverError)) throw error;
      this.#logger.error(error.message);
    }
    lookup.watch();
    return lookup;
  }

  async #reloadLookup(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        if (this.#lookup === null) return;
        const entries = lookupEntries(this.#lookup.values);
        await writeFileAtomic(this.#files.lookup, mapText(entries));
        await this.#fillMap(await this.#connect(), this.#files.lookup, entries);
      });
    } catch (error) {
      this.#established = '';
      this.#logger.error({ err: error }, 'the lookup file could not be handed to HAProxy; trying again');
    }
  }
}

function lookupEntries(values: ReadonlyMap<string, string>): MapEntry[] {
  return [...values].map(([key, value]): MapEntry => [encodedOctets(key), encodedOctets(value)]);
}

function mapText(entries: readonly MapEntry[]): string {
  return entries.map(([key, value]) => `${key} ${value}\n`).join('');
}
