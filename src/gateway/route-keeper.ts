import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from './data-plane.ts';
import type { RouteStore } from './route-store.ts';

/**
 * The one way in for route tables, wherever they come from. One at a time: compiled, made durable, and only then
 * executed and acknowledged, so that a restart never falls back behind what was acknowledged (invariant 4).
 */
export class RouteKeeper {
  readonly #service: string;
  readonly #store: RouteStore;
  readonly #plane: DataPlane;
  readonly #logger: Logger;
  readonly #pulls: boolean;
  #queue: Promise<unknown> = Promise.resolve();
  #held: string | null = null;
  /** Called after a table came into effect. */
  onAdopted: () => void = () => {};

  constructor(parts: {
    service: string;
    store: RouteStore;
    plane: DataPlane;
    /** Tables are pulled from a controller; else they only come by being pushed. */
    pulls: boolean;
    logger: Logger;
  }) {
    this.#service = parts.service;
    this.#store = parts.store;
    this.#plane = parts.plane;
    this.#pulls = parts.pulls;
    this.#logger = parts.logger;
  }

  /** Version of the table executed now, 0 for none. */
  get version(): number {
    return this.#plane.table?.version ?? 0;
  }

  /** The version of which it may be said that it is executed: 0 where who executes it does not say so now. */
  async executed(): Promise<number> {
    try {
      await this.#plane.ensure?.();
      return this.version;
    } catch {
      return 0;
    }
  }

  /**
   * The upgrade for whose sake these routes must not be served by yet; null where they may. What was on the disk at the
   * start is of an upgrade: the others may have declared this gateway gone and not wait for it (invariant 2).
   */
  get heldBy(): string | null {
    return this.#held;
  }

  /** The controller was asked since the start, and has no newer routes for this gateway. */
  confirm(): void {
    if (this.#held === null || this.#plane.table?.fenced === true) return;
    this.#logger.info({ version: this.version }, 'the routes are the current ones; serving by them');
    this.#held = null;
    this.onAdopted();
  }

  /** Why the table could not be executed; null where it could. Nothing changes. */
  check(table: RouteTable): Promise<string | null> {
    return this.#inTurn(() => this.#check(table));
  }

  /**
   * Takes up what was executed before the restart, unless something newer came meanwhile (invariant 4). An unreadable
   * file is reported and left alone.
   */
  restore(): Promise<void> {
    return this.#inTurn(() => this.#restore());
  }

  /**
   * Executes the table unless a newer one (or this one) is executed already. Answers the version executed then.
   *
   * @throws ChangeoverError `InvalidRequest` if the table is of another service or its lookup file is not to be had.
   */
  adopt(table: RouteTable, source: 'pushed' | 'pulled'): Promise<number> {
    return this.#inTurn(() => this.#adopt(table, source));
  }

  close(): void {
    this.#plane.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #restore(): Promise<void> {
    try {
      const table = await this.#store.load();
      if (table === null) return;
      if (table.service !== this.#service) {
        this.#logger.error({ stored: table.service }, 'stored routes are of another service; not used');
        return;
      }
      if (table.version <= this.version) return;
      await this.#execute(table, true);
      this.#held = table.upgrade ?? null;
    } catch (error) {
      this.#logger.error({ err: error }, 'stored routes cannot be read; waiting for the controller');
    }
  }

  async #adopt(table: RouteTable, source: 'pushed' | 'pulled'): Promise<number> {
    this.#assertOwn(table);
    // What is on the disk and may be in effect already is never taken back by a late call (invariant 4).
    const wanted = Math.max(this.version, this.#plane.wanted ?? 0);
    if (table.version > this.version && table.version >= wanted) {
      const first = this.version === 0;
      await this.#execute(table, false);
      this.#logger.info({ version: table.version, source }, 'routes in effect');
      if (first) this.#held = table.upgrade ?? null;
      if (this.#held === null) this.onAdopted();
    } else if (table.version === this.version || wanted > this.version) {
      await this.#plane.ensure?.();
    }
    // What was pushed may have been under way for long; an answer to a question of this process has not.
    const isCurrent = table.version >= this.version && (source === 'pulled' || !this.#pulls);
    if (isCurrent && table.fenced !== true) this.confirm();
    return this.version;
  }

  async #check(table: RouteTable): Promise<string | null> {
    try {
      this.#assertOwn(table);
      await this.#plane.check(table);
      return null;
    } catch (error) {
      if (error instanceof ChangeoverError) return error.message;
      throw error;
    }
  }

  #assertOwn(table: RouteTable): void {
    if (table.service === this.#service) return;
    throw new ChangeoverError(
      'InvalidRequest',
      `This gateway serves ${this.#service}; the routes are of ${table.service}. Publish them to its own gateways.`,
    );
  }

  async #execute(table: RouteTable, restored: boolean): Promise<void> {
    const takeEffect = await this.#plane.prepare(table, { restored });
    if (!restored) await this.#store.save(table);
    await takeEffect();
  }
}
