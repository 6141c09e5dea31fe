import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { AccountJournal, KnownAccounts } from './account-register.ts';

/** New accounts are written so often, in milliseconds; their outcomes are not reported before. */
const SAVE_EVERY_MS = 250;
const HASH_BYTES = 8;
const MAX_HEADER_BYTES = 4_096;

const headerSchema = z.strictObject({
  service: z.string(),
  trial: z.string(),
  seed: z.string().regex(/^\d{1,20}$/),
});

/**
 * The accounts that entered a trial, on disk, so that none enters again after a restart: one line that says which trial,
 * then a hash of eight bytes for each. What is new is appended and synced.
 */
export class AccountStore implements AccountJournal {
  noted = 0;
  readonly #service: string;
  readonly #folder: string;
  readonly #path: string;
  readonly #max: number;
  readonly #logger: Logger;
  /** Of the file that is to begin anew. */
  #header: Buffer | null = null;
  /** Halves of hashes that are not written yet. */
  #pending: number[] = [];
  #written = 0;
  #file: FileHandle | null = null;
  /** Where the next hash goes. */
  #position = 0;
  #saving: Promise<void> | null = null;
  #failing = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(parts: { service: string; stateDir: string; max: number; logger: Logger }) {
    this.#service = parts.service;
    this.#folder = parts.stateDir;
    this.#path = join(parts.stateDir, 'accounts.bin');
    this.#max = parts.max;
    this.#logger = parts.logger;
  }

  /** With a disk that fails, counting goes on: nobody waits for what cannot be had. */
  get written(): number {
    return this.#failing ? Infinity : this.#written;
  }

  /** What the file holds, or null. A file that is damaged or not of this service is reported and not used. */
  async load(): Promise<KnownAccounts | null> {
    try {
      return await this.#read();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      this.#logger.error(
        { err: error },
        'stored accounts cannot be read; a trial under way enters them anew',
      );
      return null;
    }
  }

  begin(trial: string, seed: bigint): void {
    this.#header = Buffer.from(
      `${JSON.stringify({ service: this.#service, trial, seed: String(seed) })}\n`,
      'utf8',
    );
    this.#pending = [];
    this.noted = 0;
    this.#written = 0;
  }

  note(low: number, high: number): void {
    this.#pending.push(low, high);
    this.noted += 1;
  }

  /** Writes what is new from now on. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#save(), SAVE_EVERY_MS).unref();
  }

  /** All that was noted so far is safe when it returns, or the disk fails. */
  async flush(): Promise<void> {
    await this.#saving;
    await this.#save();
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.flush();
    await this.#file?.close();
    this.#file = null;
  }

  async #read(): Promise<KnownAccounts | null> {
    const file = await open(this.#path, 'r');
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(Math.min(size, MAX_HEADER_BYTES + this.#max * HASH_BYTES));
      await file.read(bytes, 0, bytes.length, 0);
      const from = bytes.subarray(0, MAX_HEADER_BYTES).indexOf('\n') + 1;
      const { service, trial, seed } = headerSchema.parse(JSON.parse(bytes.toString('utf8', 0, from)));
      if (service !== this.#service) {
        this.#logger.error({ stored: service }, 'stored accounts are of another service; not used');
        return null;
      }
      // The last one may be cut, where the gateway was killed while it wrote.
      this.#position = from + Math.floor((size - from) / HASH_BYTES) * HASH_BYTES;
      const count = Math.min(Math.floor((bytes.length - from) / HASH_BYTES), this.#max);
      const hashes = new Uint32Array(2 * count);
      for (let i = 0; i < hashes.length; i += 1) hashes[i] = bytes.readUInt32LE(from + 4 * i);
      return { trial, seed: BigInt(seed), hashes };
    } finally {
      await file.close();
    }
  }

  #save(): Promise<void> {
    if (this.#header === null && this.#pending.length === 0) return Promise.resolve();
    this.#saving ??= this.#write()
      .then(() => {
        this.#failing = false;
      })
      .catch((error: unknown) => {
        if (!this.#failing)
          this.#logger.error(
            { err: error },
            'accounts of the trial cannot be stored; after a restart they would enter again',
          );
        this.#failing = true;
      })
      .finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #write(): Promise<void> {
    const header = this.#header;
    const pending = this.#pending;
    const count = pending.length;
    const hashes = Buffer.from(Uint32Array.from(pending).buffer);
    const file = await this.#open(header);
    await file.write(hashes, 0, hashes.length, this.#position);
    await file.datasync();
    this.#position += hashes.length;
    // Another trial may have begun meanwhile, and then there is nothing to go on with.
    if (this.#header === header) this.#header = null;
    if (this.#pending !== pending) return;
    pending.splice(0, count);
    this.#written += count / 2;
  }

  /** The file, emptied where another trial begins. */
  async #open(header: Buffer | null): Promise<FileHandle> {
    if (header === null) {
      if (this.#file !== null) return this.#file;
      this.#file = await open(this.#path, 'r+');
      return this.#file;
    }
    await this.#file?.close();
    this.#file = null;
    await mkdir(this.#folder, { recursive: true });
    this.#file = await open(this.#path, 'w');
    await this.#file.write(header, 0, header.length, 0);
    this.#position = header.length;
    return this.#file;
  }
}
