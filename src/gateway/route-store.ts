import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { RouteTable } from '../domain/routes/table.ts';
import { routeTableSchema } from '../protocol/routes.ts';

/** The table executed last, on disk: what a restarted gateway falls back on while the controller is away. */
export class RouteStore {
  readonly #folder: string;
  readonly #path: string;
  #hasFolder = false;

  constructor(stateDir: string) {
    this.#folder = stateDir;
    this.#path = join(stateDir, 'routes.json');
  }

  /** The stored table, or null where there is none. @throws Error if what is stored cannot be read. */
  async load(): Promise<RouteTable | null> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
    return routeTableSchema.parse(JSON.parse(text));
  }

  /** Durable when it returns: written beside, synced, renamed. */
  async save(table: RouteTable): Promise<void> {
    if (!this.#hasFolder) await mkdir(this.#folder, { recursive: true });
    this.#hasFolder = true;
    await writeFileAtomic(this.#path, `${JSON.stringify(table, null, 2)}\n`);
  }
}
