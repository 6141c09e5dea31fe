import type { Logger } from 'pino';
import { listen, type Listening } from '../protocol/control-server.ts';
import { createAdminApi } from './admin-api.ts';
import type { ControlConfig } from './control-config.ts';
import type { DataPlane } from './data-plane.ts';
import { RouteKeeper } from './route-keeper.ts';
import { RoutePuller } from './route-puller.ts';
import { RouteStore } from './route-store.ts';

/** How long a start waits for the controller before the stored routes have to do, in milliseconds. */
export const FIRST_PULL_MS = 3_000;

/** What the admin API tells besides the routes. */
type Api = Pick<Parameters<typeof createAdminApi>[0], 'stats' | 'metrics' | 'onStatsRead' | 'ready'>;

/**
 * What every kind of gateway has in common, whatever carries its traffic: the admin API by which routes are pushed, and who
 * pulls them from the flow controller, where there is one.
 */
export class ControlSide {
  readonly keeper: RouteKeeper;
  readonly #config: ControlConfig;
  readonly #plane: DataPlane;
  readonly #puller: RoutePuller | null;
  readonly #logger: Logger;
  #admin: Listening | null = null;

  constructor(parts: { config: ControlConfig; plane: DataPlane; logger: Logger }) {
    const { config, plane, logger } = parts;
    const { service, stateDir, controllerUrl } = config;
    this.#config = config;
    this.#plane = plane;
    this.#logger = logger;
    const pulls = controllerUrl !== undefined;
    this.keeper = new RouteKeeper({ service, store: new RouteStore(stateDir), plane, pulls, logger });
    this.#puller = pulls
      ? new RoutePuller({
          ...{ controllerUrl, service, gateway: config.name, token: config.controllerToken },
          ...{ keeper: this.keeper, logger },
        })
      : null;
  }

  /** Base URL of the admin API, or null while it is not open. */
  get adminUrl(): string | null {
    return this.#admin?.url ?? null;
  }

  /** Takes up the stored routes, and opens the admin API. */
  async open(api: Api): Promise<void> {
    const { name: gateway, admin, adminToken } = this.#config;
    await this.keeper.restore();
    const app = createAdminApi({
      ...{ ...api, gateway, token: adminToken },
      ...{ plane: this.#plane, keeper: this.keeper, logger: this.#logger },
    });
    this.#admin = await listen(app, { ...admin, ...(adminToken === undefined ? {} : { token: adminToken }) });
  }

  /** Asks the controller for the latest routes. False if it does not answer in time, or there is none. */
  async pullOnce(): Promise<boolean> {
    return (await this.#puller?.pullOnce(FIRST_PULL_MS)) ?? false;
  }

  /** Pulls from now on. */
  keepPulling(): void {
    this.#puller?.start();
  }

  async stopPulling(): Promise<void> {
    await this.#puller?.close();
  }

  async closeAdmin(): Promise<void> {
    await this.#admin?.close();
    this.#admin = null;
  }
}
