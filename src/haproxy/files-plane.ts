import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from '../gateway/data-plane.ts';
import { LookupFile, resolveLookup } from '../gateway/lookup-file.ts';
import { filesIn, isSlot } from './layout.ts';
import { storedRoutes } from './map-files.ts';
import { readServers, type ServerRow } from './runtime-answers.ts';
import { serverNumbers } from './server-numbers.ts';
import { type Target, targetOf, writeTargetFiles } from './target.ts';

/** The files of an HAProxy that does not run: what it will start with. */
export class FilesPlane implements DataPlane {
  readonly #service: string;
  readonly #folder: string;
  readonly #lookupDir: string | undefined;
  readonly #logger: Logger;
  #target: Target | null = null;

  constructor(parts: { service: string; filesDir: string; lookupDir: string | undefined; logger: Logger }) {
    this.#service = parts.service;
    this.#folder = parts.filesDir;
    this.#lookupDir = parts.lookupDir;
    this.#logger = parts.logger;
  }

  get table(): RouteTable | null {
    return this.#target?.table ?? null;
  }

  async prepare(table: RouteTable, { restored }: { restored: boolean }): Promise<() => Promise<void>> {
    const lookup = await this.#lookup(table, restored);
    const rows = await this.#rows();
    const target = targetOf(table, rows, await storedRoutes(filesIn(this.#folder).routes));
    return async () => {
      await writeTargetFiles(this.#folder, target, lookup);
      this.#target = target;
    };
  }

  async check(table: RouteTable): Promise<void> {
    await this.#lookup(table, false);
    targetOf(table, await this.#rows(), await storedRoutes(filesIn(this.#folder).routes));
  }

  close(): void {
    // Nothing is open.
  }

  /** Slots and servers, as the server-state file has them: the companion keeps them in step with the configuration. */
  async #rows(): Promise<ServerRow[]> {
    const path = filesIn(this.#folder).servers;
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw new ChangeoverError(
        'InvalidRequest',
        `${path} is not there; write it with \`changeover haproxy render --seed\` for the plan of ${this.#service}.`,
        { cause },
      );
    });
    const rows = readServers(text).filter((row) => isSlot(this.#service, row));
    // Their numbers are those of the configuration, which may have been rendered since.
    const numbers = serverNumbers(rows.map(({ name }) => name));
    return rows.map((row) => ({ ...row, id: numbers.get(row.name) ?? row.id }));
  }

  async #lookup(table: RouteTable, tolerate: boolean): Promise<ReadonlyMap<string, string> | null> {
    const name = table.split?.key.lookup;
    if (name === undefined) return null;
    const lookup = new LookupFile(await resolveLookup(name, this.#lookupDir), this.#logger);
    try {
      await lookup.load();
      return lookup.values;
    } catch (error) {
      if (!tolerate || !(error instanceof ChangeoverError)) throw error;
      // What HAProxy had of it stands.
      this.#logger.error(error.message);
      return null;
    } finally {
      lookup.close();
    }
  }
}
