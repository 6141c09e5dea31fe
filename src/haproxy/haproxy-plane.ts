import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from '../gateway/data-plane.ts';
import { LookupFile, resolveLookup } from '../gateway/lookup-file.ts';
import { filesIn, slotName, SPECIAL } from './layout.ts';
import { lookupEntries, mapText, storedSlots } from './map-files.ts';
import { refuseOtherRules, refuseUncountable } from './running-rules.ts';
import { RuntimeConnection, type SocketAddress } from './runtime-api.ts';
import { readMapValue, readProcess, readServers, type ServerRow } from './runtime-answers.ts';
import { cutTransactions, fillMap, setAddresses, setStates } from './runtime-changes.ts';
import type { ServerState } from './server-states.ts';
import { stateBy, type Target, targetOf, writeTargetFiles } from './target.ts';

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
    if (!restored) await this.#refuseUnfit(table);
    return async () => {
      const previous = this.#lookup;
      this.#lookup = lookup;
      if (previous !== lookup) previous?.close();
      if (lookup !== null) lookup.onReload = () => void this.#reloadLookup();
      if (restored) {
        // HAProxy need not be there yet; whoever asks for its state sees to it that this table is in effect.
        this.#target = { table, slots: await storedSlots(this.#files.routes), entries: [] };
        return;
      }
      await this.beforeChange();
      await this.#inTurn(() => this.#establish(table));
    };
  }

  async check(table: RouteTable): Promise<void> {
    const lookup = await this.#openLookup(table, false);
    try {
      await this.#refuseUnfit(table);
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

  async #refuseUnfit(table: RouteTable): Promise<void> {
    refuseUncountable(table);
    const connection = await this.#connect();
    await refuseOtherRules(connection, table, this.#logger);
    targetOf(table, await this.#servers(connection), this.#target?.slots ?? new Map());
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
   * To the process that accepts connections now: after a reload the old one lives on for what it has under way.
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

  async #establish(table: RouteTable): Promise<void> {
    this.#established = '';
    const connection = await this.#connect();
    const rows = await this.#servers(connection);
    const target = targetOf(table, rows, await storedSlots(this.#files.routes));
    const stateIn = stateBy(target);
    await writeTargetFiles(this.#filesDir, target, { rows, lookup: this.#lookup?.values ?? null });
    this.#target = target;

    const commands = rows
      .filter((row) => stateIn(row.backend, row.name) !== row.state)
      .map((row) => ({ row, state: stateIn(row.backend, row.name) }));
    const opening = commands.filter(({ state }) => state === 'ready');
    const leaving = commands.filter(({ state }) => state !== 'ready');
    await setAddresses(connection, table, rows);
    // First those that may be chosen, then the choice, then those that no longer are: at no moment does the policy lead
    // to a slot whose servers are not open yet (invariants 1 and 3).
    await setStates(connection, opening);
    if (this.#lookup !== null)
      await fillMap(connection, this.#files.lookup, lookupEntries(this.#lookup.values));
    await fillMap(connection, this.#files.routes, target.entries);
    await setStates(connection, leaving);
    await cutTransactions(connection, table, rows);
    await this.#verify(connection, target, stateIn);
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
        await fillMap(await this.#connect(), this.#files.lookup, entries);
      });
    } catch (error) {
      this.#established = '';
      this.#logger.error({ err: error }, 'the lookup file could not be handed to HAProxy; trying again');
    }
  }
}
