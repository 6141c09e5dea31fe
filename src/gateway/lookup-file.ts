import { type FSWatcher, unwatchFile, watch, watchFile } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, relative, resolve } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import { utf8Octets } from '../domain/policy/route-key.ts';
import type { RouteTable } from '../domain/routes/table.ts';

/** How often the file is looked at where the system does not say that it changed, in milliseconds. */
const STAT_INTERVAL_MS = 2_000;
/** Lines read without letting requests through in between. */
const LINES_PER_TURN = 5_000;

/**
 * A table key → value on the gateway's disk (CSV `key,value`, or a JSON object), such as account → age. Reloaded when
 * the file changes; a broken or missing new file leaves the old values in place and is logged.
 */
export class LookupFile {
  readonly path: string;
  /** Called with the new values after the file was reloaded. */
  onReload: (values: ReadonlyMap<string, string>) => void = () => {};
  readonly #logger: Logger;
  #values: ReadonlyMap<string, string> = new Map();
  #watcher: FSWatcher | null = null;
  #reloading: Promise<void> | null = null;
  #changedMeanwhile = false;

  constructor(path: string, logger: Logger) {
    this.path = path;
    this.#logger = logger.child({ lookup: path });
  }

  /** All of it, keys and values as strings of octets (their UTF-8). */
  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** Reads the file for the first time. @throws ChangeoverError `InvalidRequest` if it cannot be read. */
  async load(): Promise<void> {
    try {
      this.#values = await readValues(this.path);
    } catch (error) {
      throw new ChangeoverError(
        'InvalidRequest',
        `The policy's lookup file ${this.path} cannot be used: ${messageOf(error)}. Put a CSV file (key,value) or a JSON object there.`,
        { cause: error },
      );
    }
  }

  watch(): void {
    watchFile(this.path, { interval: STAT_INTERVAL_MS, persistent: false }, this.#onChange);
    try {
      // The folder, not the file: a file that is replaced as a whole is another file.
      this.#watcher = watch(dirname(this.path), { persistent: false }, (_event, file) => {
        if (file === null || file === basename(this.path)) this.#onChange();
      });
      this.#watcher.on('error', (error) =>
        this.#logger.debug({ err: error }, 'watching failed; stat instead'),
      );
    } catch (error) {
      this.#logger.debug({ err: error }, 'cannot watch; stat instead');
    }
  }

  close(): void {
    unwatchFile(this.path, this.#onChange);
    this.#watcher?.close();
  }

  readonly #onChange = (): void => {
    this.#changedMeanwhile = true;
    this.#reloading ??= this.#reload().finally(() => (this.#reloading = null));
  };

  async #reload(): Promise<void> {
    while (this.#changedMeanwhile) {
      this.#changedMeanwhile = false;
      try {
        this.#values = await readValues(this.path);
        this.#logger.info({ keys: this.#values.size }, 'lookup file reloaded');
        this.onReload(this.#values);
      } catch (error) {
        this.#logger.error({ err: error }, 'lookup file is broken; the values from before stay in place');
      }
    }
  }
}

/** Where a policy's lookup file is. @throws ChangeoverError `InvalidRequest` unless it lies in `lookupDir`. */
export async function resolveLookup(lookup: string, lookupDir: string | undefined): Promise<string> {
  if (lookupDir === undefined) {
    throw new ChangeoverError(
      'InvalidRequest',
      `The policy looks keys up in ${lookup}, but this gateway has no folder for lookup files; configure lookupDir.`,
    );
  }
  const folder = await realpath(lookupDir).catch(() => resolve(lookupDir));
  const path = resolve(folder, lookup);
  // A link may lead out of the folder just as `..` does.
  const real = await realpath(path).catch(() => path);
  for (const target of [path, real]) {
    const inside = relative(folder, target);
    if (inside === '' || inside.startsWith('..') || isAbsolute(inside)) {
      throw new ChangeoverError(
        'InvalidRequest',
        `The policy's lookup file ${lookup} lies outside of ${lookupDir}; put it there and name it relative to it.`,
      );
    }
  }
  return path;
}

async function readValues(path: string): Promise<Map<string, string>> {
  const text = (await readFile(path, 'utf8')).replace(/^\uFEFF/, '');
  // Keys are compared with what came over the wire, octet by octet.
  const values = extname(path).toLowerCase() === '.json' ? parseJson(text) : await parseCsv(text);
  // A file that is being rewritten in place is empty for a moment: nobody's key is lost by that.
  if (values.size === 0) throw new Error('it has no entries');
  return values;
}

function parseJson(text: string): Map<string, string> {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Error('it holds no JSON object');
  }
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(parsed)) {
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new Error(`the value of "${key}" is neither text nor a number`);
    }
    values.set(utf8Octets(key), utf8Octets(String(value)));
  }
  return values;
}

/** In slices, since a file of a million accounts must not hold up the requests meanwhile. */
async function parseCsv(text: string): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  let line = 0;
  for (let at = 0; at < text.length;) {
    let end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    line += 1;
    const entry = text.slice(at, end).trim();
    at = end + 1;
    if (line % LINES_PER_TURN === 0) await nextTurn();
    if (entry === '' || entry.startsWith('#')) continue;
    const comma = entry.indexOf(',');
    if (comma < 1) throw new Error(`line ${line} is not of the form key,value`);
    values.set(utf8Octets(unquoted(entry.slice(0, comma))), utf8Octets(unquoted(entry.slice(comma + 1))));
  }
  return values;
}

function unquoted(field: string): string {
  const trimmed = field.trim();
  return trimmed.length > 1 && trimmed.startsWith('"') && trimmed.endsWith('"')
    ? trimmed.slice(1, -1)
    : trimmed;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The lookup file of a table's policy, watched; the previous one where it is the same, and null where there is none.
 *
 * @throws ChangeoverError `InvalidRequest` if it is not to be had, unless `tolerateLookup`: then that is logged.
 */
export async function openLookup(
  table: RouteTable,
  options: {
    lookupDir: string | undefined;
    previousLookup: LookupFile | null;
    tolerateLookup: boolean;
    logger: Logger;
  },
): Promise<LookupFile | null> {
  const name = table.split?.key.lookup;
  if (name === undefined) return null;
  const path = await resolveLookup(name, options.lookupDir);
  if (options.previousLookup?.path === path) return options.previousLookup;
  const lookup = new LookupFile(path, options.logger);
  try {
    await lookup.load();
  } catch (error) {
    if (!options.tolerateLookup || !(error instanceof ChangeoverError)) throw error;
    options.logger.error(error.message);
  }
  lookup.watch();
  return lookup;
}
