import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from '../gateway/data-plane.ts';
import { type LookupFile, openLookup } from '../gateway/lookup-file.ts';
import { filesIn, slotName, SPECIAL } from './layout.ts';
import { lookupEntries, mapText, storedRoutes } from './map-files.ts';
import { refuseOtherRules, refuseRulesOfAnother, refuseUncountable } from './running-rules.ts';
import { RuntimeConnection, type SocketAddress } from './runtime-api.ts';
import { type HaproxyProcess, readMapValue, readProcess, type ServerRow } from './runtime-answers.ts';
import { applyTarget, fillMap } from './runtime-changes.ts';
import { ServerList } from './server-list.ts';
import { differing, isCountedAnew, serverIds, type Target, targetOf, writeTargetFiles } from './target.ts';
import { WorkerProcesses } from './worker-processes.ts';

/** Pause before it is looked again whether a new process has taken over, in milliseconds. */
const SUCCESSOR_POLL_MS = 10;

/** The process that accepts connections, as it says itself. */
type Connected = Pick<Executing, 'connection'> & { readonly process: HaproxyProcess };

/** The process that serves now, and the table that it was found to execute. */
export interface Executing {
  readonly connection: RuntimeConnection;
  readonly process: string;
  /** 0 and null where there are no routes yet. */
  readonly version: number;
  readonly table: RouteTable | null;
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
  readonly workers: WorkerProcesses;
  /** What has to be in effect, and is what files hold. */
  #target: Target | null = null;
  /** What HAProxy was last found to execute; after a restart, what it was left with. */
  #executed: Target | null = null;
  readonly #servers: ServerList;
  #lookup: LookupFile | null = null;
  #connection: RuntimeConnection | null = null;
  #connecting: Promise<Connected> | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  /** The process in which everything was found as it has to be. */
  #established = '';
  /** Called with the connection to a process before another one takes its place. */
  onReplaced: (old: RuntimeConnection) => void = (old) => old.close();
  /** Called before what HAProxy counts is of another policy, or of another release in the same slot. */
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
    this.#servers = new ServerList(parts.service);
    this.workers = new WorkerProcesses({ onThisMachine: 'path' in parts.address, logger: parts.logger });
  }

  get table(): RouteTable | null {
    return this.#executed?.table ?? null;
  }

  get wanted(): number {
    return this.#target?.table.version ?? 0;
  }

  /** Release of each slot, by the name of its backend. */
  get releases(): ReadonlyMap<string, string> {
    const slots = this.#executed?.slots ?? new Map<string, number>();
    return new Map([...slots].map(([release, slot]) => [slotName(this.#service, slot), release]));
  }

  async prepare(table: RouteTable, { restored }: { restored: boolean }): Promise<() => Promise<void>> {
    const lookup = await this.#openLookup(table, restored);
    const fitting = restored
      ? null
      : await this.#refuseUnfit(table).catch((error: unknown) => {
          if (lookup !== this.#lookup) lookup?.close();
          throw error;
        });
    const take = (): void => {
      if (this.#lookup !== lookup) this.#lookup?.close();
      this.#lookup = lookup;
      if (lookup !== null) lookup.onReload = () => void this.#reloadLookup();
    };
    return async () => {
      if (fitting === null) {
        take();
        // HAProxy need not be there yet; whoever asks for its state sees to it that this table is in effect.
        const stored = await storedRoutes(this.#files.routes);
        this.#target = { table, ...stored, entries: [], rows: [], addresses: new Map() };
        this.#executed = this.#target;
        return;
      }
      if (isCountedAnew(this.#executed, fitting)) await this.beforeChange();
      await this.#inTurn(() => {
        take();
        return this.#establish(table, fitting);
      });
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

  /** @throws ChangeoverError `GatewayUnreachable` unless HAProxy executes `table` now, which it is seen to where it does not. */
  async ensure(): Promise<void> {
    await this.#inTurn(() => this.#executing());
  }

  /** For what is done with the HAProxy that runs now while nothing changes in it. One that is not the one left is mended first. */
  reading<T>(work: (now: Executing) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => work(await this.#executing()));
  }

  async #executing(): Promise<Executing> {
    const { connection, process } = await this.#connect();
    const [value = ''] = await connection.send([`get map ${this.#files.routes} ${SPECIAL.version}`]);
    const wanted = this.#target?.table ?? null;
    const version = Number(readMapValue(value) ?? 0);
    if (wanted === null) return { connection, process: process.id, version: 0, table: null };
    if (process.id === this.#established && version === wanted.version)
      return { connection, process: process.id, version, table: wanted };
    this.#logger.warn({ process: process.id, version }, 'another HAProxy process: its routes are set anew');
    return this.#establish(wanted);
  }

  async #refuseUnfit(table: RouteTable): Promise<Target> {
    refuseUncountable(table);
    const { connection } = await this.#connect();
    await refuseOtherRules(connection, table, this.#logger);
    const { rows } = await this.#servers.of(connection);
    return this.#targetOf(table, rows);
  }

  /** What was given stays, also by the files of an HAProxy before this companion's start: slots, and numbers of decisions. */
  async #targetOf(table: RouteTable, rows: readonly ServerRow[]): Promise<Target> {
    return targetOf(table, rows, this.#target ?? (await storedRoutes(this.#files.routes)));
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
   * To the process that accepts connections now: after a reload the old one lives on for what it has under way. One at a
   * time: a connection that nobody knows of would keep a process from ever ending.
   */
  #connect(): Promise<Connected> {
    this.#connecting ??= this.#openOrKnown().finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  async #openOrKnown(): Promise<Connected> {
    const known = this.#connection;
    if (known !== null && !known.closed) {
      const [info = null] = await known.send(['show info']).catch(() => []);
      const process = info === null ? null : readProcess(info);
      if (process?.stopping === false) return { connection: known, process };
    }
    const connection = await RuntimeConnection.open(this.#address);
    this.#connection = connection;
    if (known !== null) this.onReplaced(known);
    const [info = ''] = await connection.send(['show info']);
    return { connection, process: readProcess(info) };
  }

  /** HAProxy's numbers of servers, which stick tables hold. */
  async serverIds(connection: RuntimeConnection): Promise<ReadonlyMap<string, number>> {
    return serverIds((await this.#servers.of(connection)).rows);
  }

  /**
   * A reload that is under way has read files as they were: what comes of it would go back to older routes, after newer ones
   * were acknowledged. So nothing changes at runtime before it is seen that whoever starts from now on reads the new files
   * (invariant 4).
   */
  async #establish(table: RouteTable, fitting: Target | null = null): Promise<Executing> {
    this.#established = '';
    for (;;) {
      const connection = await this.#withoutSuccessor();
      const { rows, isRemembered } = await this.#servers.of(connection);
      // The same rows are of the same process, of which the rules are known since then.
      const isFitting = fitting?.rows === rows;
      if (!isFitting) await refuseRulesOfAnother(connection);
      const target = isFitting ? fitting : await this.#targetOf(table, rows);
      await writeTargetFiles(this.#filesDir, target, this.#lookup?.values ?? null);
      this.#target = target;
      if ((await this.#withoutSuccessor()) === connection)
        return this.#effect(connection, target, isRemembered);
    }
  }

  /** To a process that no other one is about to replace, as far as the system tells. */
  async #withoutSuccessor(): Promise<RuntimeConnection> {
    for (;;) {
      const { connection, process } = await this.#connect();
      if (!this.workers.hasSuccessor(process.pid)) return connection;
      await delay(SUCCESSOR_POLL_MS);
    }
  }

  async #effect(connection: RuntimeConnection, target: Target, isRemembered: boolean): Promise<Executing> {
    const { table, rows } = target;
    // Until all is found as it has to be, nobody knows how it is.
    this.#servers.forget();
    const lookup = this.#lookup?.values ?? null;
    const changed = await applyTarget(connection, target, { files: this.#files, lookup });
    const led = [...target.slots.values()].map((slot) => slotName(this.#service, slot));
    const backends = new Set([...changed, ...led]);
    const found = await this.#servers.readBack(connection, { rows, backends });
    const wrong = differing(target, found).map(({ row }) => row);
    // Somebody else changed servers since they were read.
    if (wrong.length > 0 && isRemembered) {
      const { rows: now } = await this.#servers.of(connection);
      return this.#effect(connection, { ...target, rows: now }, false);
    }
    const process = await this.#verify(connection, table, wrong);
    this.#servers.know(connection, found);
    this.#executed = target;
    return { connection, process, version: table.version, table };
  }

  /** @throws ChangeoverError `GatewayUnreachable` unless HAProxy says itself that all is as it has to be. */
  async #verify(
    connection: RuntimeConnection,
    table: RouteTable,
    wrong: readonly ServerRow[],
  ): Promise<string> {
    const [info = '', found = ''] = await connection.send([
      'show info',
      `get map ${this.#files.routes} ${SPECIAL.version}`,
    ]);
    const version = Number(readMapValue(found) ?? 0);
    if (version !== table.version || wrong.length > 0) {
      const servers = wrong.map(({ backend, name, state }) => `${backend}/${name} is ${state}`).join(', ');
      throw new ChangeoverError(
        'GatewayUnreachable',
        `HAProxy did not take over the routes: it has version ${version} instead of ${table.version}. ${servers}`,
      );
    }
    const process = readProcess(info);
    if (!process.stopping) this.#established = process.id;
    return process.id;
  }

  #openLookup(table: RouteTable, tolerateLookup: boolean): Promise<LookupFile | null> {
    const known = { lookupDir: this.#lookupDir, previousLookup: this.#lookup, logger: this.#logger };
    return openLookup(table, { ...known, tolerateLookup });
  }

  async #reloadLookup(): Promise<void> {
    try {
      await this.#inTurn(async () => {
        if (this.#lookup === null) return;
        const entries = lookupEntries(this.#lookup.values);
        await writeFileAtomic(this.#files.lookup, mapText(entries));
        await fillMap(await this.#withoutSuccessor(), this.#files.lookup, entries);
      });
    } catch (error) {
      this.#established = '';
      this.#logger.error({ err: error }, 'the lookup file could not be handed to HAProxy; trying again');
    }
  }
}
