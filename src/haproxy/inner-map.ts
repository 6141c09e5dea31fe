import { join } from 'node:path';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import { dealtGroups } from '../domain/policy/groups.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { DataPlane } from '../gateway/data-plane.ts';
import { RouteKeeper } from '../gateway/route-keeper.ts';
import { RoutePuller } from '../gateway/route-puller.ts';
import { RouteStore } from '../gateway/route-store.ts';
import { innerMark, innerMarkOf } from './inner-rules.ts';
import { filesIn, RULES_VERSION, SPECIAL } from './layout.ts';
import { mapText } from './map-files.ts';
import { innerMapEntries, type MapEntry } from './route-map.ts';
import { readMapValue } from './runtime-answers.ts';
import type { RuntimeConnection } from './runtime-api.ts';
import { fillMap } from './runtime-changes.ts';

/** A service may be adopted at any time after its upstreams: it is asked for at least this often, in milliseconds. */
const LONGEST_PAUSE_MS = 1_000;

export interface InnerMapConfig {
  readonly service: string;
  readonly controllerUrl: string;
  readonly token: string | undefined;
  readonly stateDir: string;
  /** Folder of HAProxy's maps. */
  readonly filesDir: string;
  readonly logger: Logger;
}

interface InnerMapsConfig {
  readonly service: string;
  readonly contextFor: readonly string[];
  readonly controllerUrl?: string | undefined;
  readonly controllerToken?: string | undefined;
  readonly stateDir: string;
  readonly filesDir: string;
}

/**
 * The routes of a service behind HAProxy, as far as they decide on a release, in a map of their own. Nothing is sent by
 * them from here, so that no step of an upgrade waits for them. Pulled from the controller, and kept on disk.
 */
export class InnerMap implements DataPlane {
  readonly #service: string;
  readonly #file: string;
  readonly #logger: Logger;
  readonly #keeper: RouteKeeper;
  readonly #puller: RoutePuller;
  #table: RouteTable | null = null;
  /** Version that the configuration has no rules for; told once. */
  #unfit = 0;

  constructor({ service, controllerUrl, token, stateDir, filesDir, logger }: InnerMapConfig) {
    this.#service = service;
    this.#file = filesIn(filesDir).inner(service);
    this.#logger = logger.child({ inner: service });
    this.#keeper = new RouteKeeper({
      service,
      store: new RouteStore(join(stateDir, 'inner', service)),
      plane: this,
      pulls: true,
      logger: this.#logger,
    });
    this.#puller = new RoutePuller({
      controllerUrl,
      service,
      gateway: null,
      token,
      keeper: this.#keeper,
      longestPauseMs: LONGEST_PAUSE_MS,
      logger: this.#logger,
    });
  }

  get service(): string {
    return this.#service;
  }

  get table(): RouteTable | null {
    return this.#table;
  }

  prepare(table: RouteTable): Promise<() => void> {
    // What HAProxy cannot express is refused here, and the routes before go on.
    innerMapEntries(table);
    return Promise.resolve(() => {
      this.#table = table;
    });
  }

  check(table: RouteTable): Promise<void> {
    innerMapEntries(table);
    return Promise.resolve();
  }

  async start(): Promise<void> {
    await this.#keeper.restore();
    this.#puller.start();
  }

  /** What is on disk, and what the controller has now: false where it does not say. */
  async update(timeoutMs: number): Promise<boolean> {
    await this.#keeper.restore();
    return this.#puller.pullOnce(timeoutMs);
  }

  async stop(): Promise<void> {
    await this.#puller.close();
    this.#keeper.close();
  }

  close(): void {
    // Nothing is held.
  }

  /** Brings HAProxy's map up to date, if it is not: a new process has what was in the file. */
  async lookAfter(connection: RuntimeConnection): Promise<void> {
    const table = this.#table;
    if (table === null) return;
    const [mark = '', found = ''] = await connection.send([
      `show env ${innerMark(this.#service)}`,
      `get map ${this.#file} ${SPECIAL.version}`,
    ]);
    const rules = /=(.*)$/m.exec(mark)?.[1]?.trim();
    if (rules === undefined) {
      this.#tell(table, 'HAProxy decides nothing for it: render its configuration with --context-for');
      return;
    }
    const { fits, version, entries } = innerMapFor(table, rules);
    if (!fits)
      this.#tell(
        table,
        'its routes decide otherwise than HAProxy was rendered for: its sidecars decide; render with its plan and reload',
      );
    if (readMapValue(found) === version) return;
    await writeFileAtomic(this.#file, mapText(entries));
    await fillMap(connection, this.#file, entries);
  }

  /**
   * Brings the map of an HAProxy that does not run up to date.
   *
   * @param rules - by which its configuration decides.
   * @returns whether they are those of the routes; false too where no routes are known.
   */
  async writeFile(rules: string): Promise<boolean> {
    if (this.#table === null) return false;
    const { fits, entries } = innerMapFor(this.#table, rules);
    await writeFileAtomic(this.#file, mapText(entries));
    return fits;
  }

  #tell({ version }: RouteTable, what: string): void {
    if (this.#unfit === version) return;
    this.#unfit = version;
    this.#logger.warn({ version }, what);
  }
}

/**
 * One for each service in `contextFor`.
 *
 * @throws ChangeoverError `InvalidRequest`
 */
export function innerMaps(
  { service, contextFor, controllerUrl, controllerToken: token, stateDir, filesDir }: InnerMapsConfig,
  logger: Logger,
): InnerMap[] {
  if (contextFor.includes(service) || new Set(contextFor).size < contextFor.length) {
    throw new ChangeoverError(
      'InvalidRequest',
      `contextFor is [${contextFor.join(', ')}]; name each service behind ${service} once.`,
    );
  }
  if (controllerUrl === undefined && contextFor.length > 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      'The routes of the services in contextFor come from the flow controller: name it (controllerUrl).',
    );
  }
  return contextFor.map(
    (name) =>
      new InnerMap({ service: name, controllerUrl: controllerUrl ?? '', token, stateDir, filesDir, logger }),
  );
}

/** What a table is in a map, for the rules that have the mark `rules`: no decision where they are for other routes. */
function innerMapFor(
  table: RouteTable,
  rules: string,
): { fits: boolean; version: string; entries: MapEntry[] } {
  const { split } = table;
  const fits =
    split === null ||
    (dealtGroups(split.policy).length === 0 &&
      decodeURIComponent(rules) === innerMarkOf({ key: split.key, policy: split.policy.kind }));
  // The mark says by which rules the entries decide: HAProxy may be rendered anew for the same table.
  const version = fits ? `${table.version}:${RULES_VERSION}:${rules}` : `-${table.version}`;
  const decisions = fits ? innerMapEntries(table).filter(([key]) => key !== SPECIAL.version) : [];
  return { fits, version, entries: [...decisions, [SPECIAL.version, version]] };
}
