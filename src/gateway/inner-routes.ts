import { join } from 'node:path';
import type { Logger } from 'pino';
import type { RouteTable } from '../domain/routes/table.ts';
import { compileRoutes, type CompiledRoutes } from './compiled-routes.ts';
import type { DataPlane } from './data-plane.ts';
import { compileKeySource, type FindKey } from './request-key.ts';
import { RouteKeeper } from './route-keeper.ts';
import { RoutePuller } from './route-puller.ts';
import { RouteStore } from './route-store.ts';

/** A service may be adopted at any time after its upstreams: it is asked for at least this often, in milliseconds. */
const LONGEST_PAUSE_MS = 1_000;

export interface InnerRoutesConfig {
  readonly service: string;
  readonly controllerUrl: string;
  readonly token: string | undefined;
  readonly stateDir: string;
  readonly lookupDir: string | undefined;
  readonly logger: Logger;
}

/**
 * The routes of a service behind this one, as far as they decide on a release: nothing is sent by them from here, so
 * that no step of an upgrade waits for them. Pulled from the controller, and kept on disk.
 */
export class InnerRoutes implements DataPlane {
  readonly service: string;
  readonly #lookupDir: string | undefined;
  readonly #logger: Logger;
  readonly #keeper: RouteKeeper;
  readonly #puller: RoutePuller;
  #routes: CompiledRoutes | null = null;
  #findKey: FindKey = () => undefined;

  constructor(config: InnerRoutesConfig) {
    const { service } = config;
    const logger = config.logger.child({ inner: service });
    this.service = service;
    this.#lookupDir = config.lookupDir;
    this.#logger = logger;
    this.#keeper = new RouteKeeper({
      service,
      store: new RouteStore(join(config.stateDir, 'inner', service)),
      plane: this,
      pulls: true,
      logger,
    });
    this.#puller = new RoutePuller({
      controllerUrl: config.controllerUrl,
      service,
      gateway: null,
      token: config.token,
      keeper: this.#keeper,
      longestPauseMs: LONGEST_PAUSE_MS,
      logger,
    });
  }

  get routes(): CompiledRoutes | null {
    return this.#routes;
  }

  get table(): RouteTable | null {
    return this.#routes?.table ?? null;
  }

  async prepare(table: RouteTable, { restored }: { restored: boolean }): Promise<() => void> {
    const previousLookup = this.#routes?.lookup ?? null;
    const routes = await compileRoutes(table, {
      lookupDir: this.#lookupDir,
      previousLookup,
      tolerateLookup: restored,
      logger: this.#logger,
    });
    const { split } = table;
    return () => {
      this.#routes = routes;
      this.#findKey = split === null ? () => undefined : compileKeySource(split.key, { watched: false });
      if (previousLookup !== routes.lookup) previousLookup?.close();
    };
  }

  async check(table: RouteTable): Promise<void> {
    const previousLookup = this.#routes?.lookup ?? null;
    const options = { lookupDir: this.#lookupDir, previousLookup, tolerateLookup: false };
    const { lookup } = await compileRoutes(table, { ...options, logger: this.#logger });
    if (lookup !== previousLookup) lookup?.close();
  }

  /** The key in a request to the outer service, where it is found as in one to this service. */
  get findKey(): FindKey {
    return this.#findKey;
  }

  /** What is on disk, and what the controller has now. */
  async update(timeoutMs: number): Promise<void> {
    await this.#keeper.restore();
    await this.#puller.pullOnce(timeoutMs);
  }

  start(): void {
    this.#puller.start();
  }

  async stop(): Promise<void> {
    await this.#puller.close();
    this.#keeper.close();
  }

  close(): void {
    this.#routes?.lookup?.close();
  }
}
