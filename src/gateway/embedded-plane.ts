import type { Logger } from 'pino';
import type { RouteTable } from '../domain/routes/table.ts';
import { compileRoutes } from './compiled-routes.ts';
import type { DataPlane } from './data-plane.ts';
import type { TrafficDirector } from './traffic-director.ts';

/** The data plane inside of this process. */
export class EmbeddedPlane implements DataPlane {
  readonly #director: TrafficDirector;
  readonly #lookupDir: string | undefined;
  readonly #logger: Logger;

  constructor(parts: { director: TrafficDirector; lookupDir: string | undefined; logger: Logger }) {
    this.#director = parts.director;
    this.#lookupDir = parts.lookupDir;
    this.#logger = parts.logger;
  }

  get table(): RouteTable | null {
    return this.#director.routes?.table ?? null;
  }

  async prepare(table: RouteTable, { restored }: { restored: boolean }): Promise<() => void> {
    const previousLookup = this.#director.routes?.lookup ?? null;
    const routes = await compileRoutes(table, {
      lookupDir: this.#lookupDir,
      previousLookup,
      // After a restart, serving most keys rightly beats serving nobody.
      tolerateLookup: restored,
      logger: this.#logger,
    });
    return () => {
      this.#director.execute(routes);
      if (previousLookup !== routes.lookup) previousLookup?.close();
    };
  }

  async check(table: RouteTable): Promise<void> {
    const previousLookup = this.#director.routes?.lookup ?? null;
    const options = { lookupDir: this.#lookupDir, previousLookup, tolerateLookup: false };
    const { lookup } = await compileRoutes(table, { ...options, logger: this.#logger });
    if (lookup !== previousLookup) lookup?.close();
  }

  close(): void {
    this.#director.routes?.lookup?.close();
  }
}
