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
  #queue: Promise<unknown> = Promise.resolve();
  /** Called after a table came into effect. */
  onAdopted: () => void = () => {};

  constructor(parts: { service: string; store: RouteStore; plane: DataPlane; logger: Logger }) {
    this.#service = parts.service;
    this.#store = parts.store;
    this.#plane = parts.plane;
    this.#logger = parts.logger;
  }

  /** Version of the table executed now, 0 for none. */
  get version(): number {
    return this.#plane.table?.version ?? 0;
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
    } catch (error) {
      this.#logger.error({ err: error }, 'stored routes cannot be read; waiting for the controller');
    }
  }

  async #adopt(table: RouteTable, source: 'pushed' | 'pulled'): Promise<number> {
    if (table.service !== this.#service) {
      throw new ChangeoverError(
        'InvalidRequest',
        `This gateway serves ${this.#service}; the routes are of ${table.service}. Publish them to its own gateways.`,
      );
    }
    if (table.version <= this.version) return this.version;
    await this.#execute(table, false);
    this.#logger.info({ version: table.version, source }, 'routes in effect');
    this.onAdopted();
    return this.version;
  }

  async #execute(table: RouteTable, restored: boolean): Promise<void> {
    const takeEffect = await this.#plane.prepare(table, { restored });
    if (!restored) await this.#store.save(table);
    await takeEffect();
  }
}
