import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { MAX_BYTES } from './baggage.ts';
import type { Transaction, TransactionBook } from './transaction-book.ts';

/** So often the book is written while it changes, in milliseconds: what a killed gateway loses of it at most. */
const SAVE_EVERY_MS = 1_000;
/** Transactions listed between two turns of the event loop, so that traffic does not wait for a large book. */
const PER_TURN = 1_000;
/** Nothing that a gateway wrote takes more room than this per transaction. */
const MAX_BYTES_EACH = 1_024;

const groupSchema = z.strictObject({
  server: z.string(),
  release: z.string(),
  bucket: z.string(),
  ids: z.array(z.string().min(1)),
  /** Decisions for inner services, which all of these met; none where there is none. */
  routes: z.string().max(MAX_BYTES).exactOptional(),
  /** Those which are known under another id behind this service. */
  aliases: z.record(z.string(), z.string()).exactOptional(),
});
const fileSchema = z.strictObject({ service: z.string(), transactions: z.array(groupSchema) });

/** Transactions that were on one server. */
export type TransactionGroup = z.infer<typeof groupSchema>;

/**
 * The transactions that are not over, on disk: a restarted gateway keeps each on its server and version (invariant 5),
 * and tells those who drain a server that they are still there (invariant 2).
 */
export class TransactionStore {
  readonly #service: string;
  readonly #folder: string;
  readonly #path: string;
  readonly #max: number;
  readonly #book: TransactionBook;
  readonly #logger: Logger;
  /** The book's count of changes when it was written last. Nothing is written before it has changed. */
  #saved = 0;
  #saving: Promise<void> | null = null;
  #failing = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: {
    service: string;
    stateDir: string;
    max: number;
    book: TransactionBook;
    logger: Logger;
  }) {
    this.#service = parts.service;
    this.#folder = parts.stateDir;
    this.#path = join(parts.stateDir, 'transactions.json');
    this.#max = parts.max;
    this.#book = parts.book;
    this.#logger = parts.logger;
  }

  /** What was open before the restart. A file that is damaged or not of this service is reported and not used. */
  async load(): Promise<readonly TransactionGroup[]> {
    try {
      const { size } = await stat(this.#path);
      if (size > (this.#max + 1) * MAX_BYTES_EACH)
        throw new Error(`${size} bytes are more than can be right`);
      const { service, transactions } = fileSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      if (service === this.#service) return transactions;
      this.#logger.error({ stored: service }, 'stored transactions are of another service; not used');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
      this.#logger.error({ err: error }, 'stored transactions cannot be read; going on without them');
    }
    return [];
  }

  /** Writes the book from now on, soon after each change. */
  start(): void {
    this.#timer ??= setInterval(() => {
      if (this.#saving === null) void this.#save();
    }, SAVE_EVERY_MS).unref();
  }

  /** Writes it once more, as it is now. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#saving;
    await this.#save();
  }

  #save(): Promise<void> {
    const { changes } = this.#book;
    if (changes === this.#saved) return Promise.resolve();
    this.#saving = this.#write()
      .then(() => {
        this.#saved = changes;
        this.#failing = false;
      })
      .catch((error: unknown) => {
        if (!this.#failing) {
          this.#logger.error({ err: error }, 'open transactions cannot be stored; trying on');
        }
        this.#failing = true;
      })
      .finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #write(): Promise<void> {
    const groups: string[] = [];
    let part = new Parts();
    for (const transaction of this.#book.lasting()) {
      part.add(transaction);
      if (part.size < PER_TURN) continue;
      groups.push(...part.texts());
      part = new Parts();
      await nextTurn();
    }
    groups.push(...part.texts());
    if (groups.length === 0) {
      await rm(this.#path, { force: true });
      return;
    }
    await mkdir(this.#folder, { recursive: true });
    const service = JSON.stringify(this.#service);
    await writeFileAtomic(this.#path, `{"service":${service},"transactions":[\n${groups.join(',\n')}\n]}\n`);
  }
}

/** Transactions by where they are. */
class Parts {
  size = 0;
  readonly #groups = new Map<string, TransactionGroup>();

  add({ id, backend, release, bucket, stamp }: Transaction): void {
    const { routes } = stamp;
    const key = `${backend.name}\n${release}\n${bucket}\n${routes}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { server: backend.name, release, bucket, ids: [], ...(routes === '' ? {} : { routes }) };
      this.#groups.set(key, group);
    }
    group.ids.push(id);
    if (routes !== '' && stamp.id !== id) (group.aliases ??= {})[id] = stamp.id;
    this.size += 1;
  }

  texts(): string[] {
    return [...this.#groups.values()].map((group) => JSON.stringify(group));
  }
}
