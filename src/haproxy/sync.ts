import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import { RouteKeeper } from '../gateway/route-keeper.ts';
import { NotInEffect, RoutePuller } from '../gateway/route-puller.ts';
import { RouteStore } from '../gateway/route-store.ts';
import { FilesPlane } from './files-plane.ts';
import { innerMaps } from './inner-map.ts';
import { innerMark, innerMarksIn } from './inner-rules.ts';
import { readProcess } from './runtime-answers.ts';
import { parseSocketAddress, RuntimeConnection, type SocketAddress } from './runtime-api.ts';

/** How long one question may take, and the pause before the next one, in milliseconds. */
const PULL_MS = 3_000;
const PAUSE_MS = 250;

export interface SyncConfig {
  readonly name: string;
  readonly service: string;
  readonly filesDir: string;
  readonly stateDir: string;
  readonly lookupDir: string | undefined;
  readonly controllerUrl: string;
  readonly controllerToken: string | undefined;
  /** The Runtime API of the HAProxy: while somebody answers there, its companion sees to the files. */
  readonly socket: string | undefined;
  /** How long to ask where the routes must not be served by yet, in milliseconds. */
  readonly patienceMs: number;
  /** Services behind this one, for which its configuration decides as well. */
  readonly contextFor: readonly string[];
  /** The haproxy.cfg, which says by which rules it decides for them; read where there are any. */
  readonly configFile: string;
}

/** What HAProxy starts with for a service behind it. */
export interface InnerOutcome {
  readonly service: string;
  /** 0: its routes are not known here. */
  readonly version: number;
  /** The controller gave them just now. */
  readonly reached: boolean;
  /** By which they are decided there; false where the configuration has no rules for them, or rules for others. */
  readonly fits: boolean;
}

export type SyncOutcome =
  /** It runs already: nothing was changed. */
  | { kind: 'running'; pid: number }
  /** The files hold the current routes. */
  | { kind: 'current'; version: number; inner: readonly InnerOutcome[] }
  /** The controller gave no routes, and no upgrade was under way when it gave some last: the files stand. */
  | { kind: 'asLeft'; version: number; why: ChangeoverError; inner: readonly InnerOutcome[] }
  /**
   * HAProxy must not start: an upgrade was under way, and this gateway may have been declared gone meanwhile. `why` the
   * controller does not say what became of it; null: it says that this gateway has not been taken back yet.
   */
  | { kind: 'held'; version: number; upgrade: string; why: ChangeoverError | null };

/**
 * Brings the files of an HAProxy up to date before it starts, as `ExecStartPre=` of its service: it serves from its first
 * moment, and must not do so by routes that the others have left behind (invariant 2).
 *
 * @throws ChangeoverError `InvalidRequest` where the files do not fit the routes, or `socket` is no address;
 * `Unauthorized` where the controller refuses the token: that it can be asked what is current is no reason to go on without.
 */
export async function syncFiles(config: SyncConfig, logger: Logger): Promise<SyncOutcome> {
  const { name, service, controllerUrl } = config;
  const running = config.socket === undefined ? null : await runningAt(parseSocketAddress(config.socket));
  if (running !== null) return { kind: 'running', pid: running };
  const plane = new FilesPlane({ ...config, logger });
  const store = new RouteStore(config.stateDir);
  const keeper = new RouteKeeper({ service, store, plane, pulls: true, logger });
  const token = config.controllerToken;
  const puller = new RoutePuller({ controllerUrl, service, gateway: name, token, keeper, logger });
  try {
    const stored = await loadOr(store, config.stateDir);
    await keeper.restore();
    // What the keeper only reports must not pass for "no upgrade was known".
    if (stored !== null && keeper.version === 0) await plane.check(stored);
    const deadline = performance.now() + config.patienceMs;
    for (;;) {
      const why = await whyNoRoutes(puller);
      const { version, heldBy } = keeper;
      if (heldBy === null) {
        const inner = await syncInner(config, logger);
        return why === null ? { kind: 'current', version, inner } : { kind: 'asLeft', version, why, inner };
      }
      if (performance.now() + PAUSE_MS > deadline) return { kind: 'held', version, upgrade: heldBy, why };
      await delay(PAUSE_MS);
    }
  } finally {
    await puller.close();
    keeper.close();
  }
}

/** Asks for the routes. Null: it got them; what no asking again would mend is thrown. */
async function whyNoRoutes(puller: RoutePuller): Promise<ChangeoverError | null> {
  try {
    await puller.ask(PULL_MS);
    return null;
  } catch (error) {
    const mayGoOn = error instanceof ChangeoverError && !(error instanceof NotInEffect);
    if (!mayGoOn || error.code === 'Unauthorized') throw error;
    return error;
  }
}

/** No service behind keeps HAProxy from its start: where nothing is decided for it, its sidecars decide. */
async function syncInner(config: SyncConfig, logger: Logger): Promise<InnerOutcome[]> {
  const maps = innerMaps(config, logger);
  if (maps.length === 0) return [];
  const marks = innerMarksIn(await configText(config.configFile));
  return Promise.all(
    maps.map(async (map) => {
      try {
        const reached = await map.update(PULL_MS);
        const rules = marks.get(innerMark(map.service));
        const fits = rules !== undefined && (await map.writeFile(rules));
        return { service: map.service, version: map.table?.version ?? 0, reached, fits };
      } finally {
        await map.stop();
      }
    }),
  );
}

async function configText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ChangeoverError(
      'InvalidRequest',
      `${file} cannot be read, which says how HAProxy decides for the services behind it; name its configuration (--config).`,
      { cause },
    );
  });
}

/** Number of the process that answers there; null where none does. */
async function runningAt(address: SocketAddress): Promise<number | null> {
  try {
    const connection = await RuntimeConnection.open(address);
    try {
      const [info = ''] = await connection.send(['show info']);
      return readProcess(info).pid;
    } finally {
      connection.close();
    }
  } catch (error) {
    if (error instanceof ChangeoverError) return null;
    throw error;
  }
}

async function loadOr(store: RouteStore, folder: string): Promise<RouteTable | null> {
  try {
    return await store.load();
  } catch (cause) {
    throw new ChangeoverError(
      'InvalidRequest',
      `The routes in ${folder} cannot be read, so that nobody knows whether an upgrade was under way; move routes.json away once it is over.`,
      { cause },
    );
  }
}
