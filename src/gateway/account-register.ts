import { randomBytes } from 'node:crypto';
import xxhash from 'xxhash-wasm';
import { FIRST_ORDINAL } from './account-windows.ts';

const hasher = await xxhash();

/** The register does not know the account. */
export const UNKNOWN = 0;
/** It entered before, or its first request could not be counted: it does not enter any more. */
export const PAST = 2;

/** Where accounts are written down, so that they are known after a restart. */
export interface AccountJournal {
  /** Accounts noted since the trial began, and how many of them are safe. */
  readonly noted: number;
  readonly written: number;
  begin(trial: string, seed: bigint): void;
  note(low: number, high: number): void;
}

/** For who needs no memory of them: all is safe at once. */
export const NO_JOURNAL: AccountJournal = { noted: 0, written: 0, begin() {}, note() {} };

/** Accounts of a trial that entered before. */
export interface KnownAccounts {
  readonly trial: string;
  readonly seed: bigint;
  /** Low and high half of each hash, one after the other. */
  readonly hashes: Uint32Array;
}

/** Growing one at a time stops traffic for a millisecond at most, where one large table would for many. */
const SHARDS = 64;

/**
 * The accounts that a trial has seen, each with a mark: one of the constants above, or its ordinal among
 * AccountWindows. They are told apart by a 64-bit hash with a seed that nobody can guess: of a million accounts, two
 * are taken for one with a probability of 3e-8. 16 to 32 bytes each.
 */
export class AccountRegister {
  readonly #max: number;
  readonly #journal: AccountJournal;
  #trial: string | null = null;
  #seed = 0n;
  #size = 0;
  #shards: Shard[] = [];
  readonly #hash = new BigUint64Array(1);
  readonly #halves = new Uint32Array(this.#hash.buffer);

  constructor({ max, journal }: { max: number; journal: AccountJournal }) {
    this.#max = max;
    this.#journal = journal;
  }

  get trial(): string | null {
    return this.#trial;
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= this.#max;
  }

  get journal(): Pick<AccountJournal, 'noted' | 'written'> {
    return this.#journal;
  }

  /** Forgets all accounts: those of this trial are others. */
  begin(trial: string): void {
    this.#clear(trial, randomBytes(8).readBigUInt64LE());
    this.#journal.begin(trial, this.#seed);
  }

  /** Goes on with what was known before the restart. */
  restore({ trial, seed, hashes }: KnownAccounts): void {
    this.#clear(trial, seed);
    for (let i = 0; i + 1 < hashes.length; i += 2) {
      if (this.#put(hashes[i] ?? 0, hashes[i + 1] ?? 0, PAST)) this.#size += 1;
    }
  }

  /** The account's mark. */
  get(account: string): number {
    this.#hash[0] = hasher.h64(account, this.#seed);
    const [low = 0, high = 0] = this.#halves;
    return this.#shards[high % SHARDS]?.get(low, high) ?? UNKNOWN;
  }

  /** Gives the account another mark. An unknown one must not be added to a full register. */
  set(account: string, mark: number): void {
    this.#hash[0] = hasher.h64(account, this.#seed);
    const [low = 0, high = 0] = this.#halves;
    if (!this.#put(low, high, mark)) return;
    this.#size += 1;
    this.#journal.note(low, high);
  }

  #put(low: number, high: number, mark: number): boolean {
    return this.#shards[high % SHARDS]?.put(low, high, mark) ?? false;
  }

  #clear(trial: string, seed: bigint): void {
    this.#trial = trial;
    this.#seed = seed;
    this.#size = 0;
    this.#shards = Array.from({ length: SHARDS }, () => new Shard());
  }
}

/** Marks of the register are not ordinals. */
export function isOrdinal(mark: number): boolean {
  return mark >= FIRST_ORDINAL;
}

/** A hash table with open addressing; three words an entry: both halves of the hash, and the mark (0: no entry). */
class Shard {
  #capacity = 64;
  #size = 0;
  #words = new Uint32Array(3 * this.#capacity);

  get(low: number, high: number): number {
    return this.#words[this.#find(low, high) + 2] ?? UNKNOWN;
  }

  /** @returns whether it was not there. */
  put(low: number, high: number, mark: number): boolean {
    if (this.#size * 4 >= this.#capacity * 3) this.#grow();
    const at = this.#find(low, high);
    const isNew = this.#words[at + 2] === UNKNOWN;
    this.#words[at] = low;
    this.#words[at + 1] = high;
    this.#words[at + 2] = mark;
    if (isNew) this.#size += 1;
    return isNew;
  }

  /** Where the entry is, or would be. */
  #find(low: number, high: number): number {
    const words = this.#words;
    let index = low & (this.#capacity - 1);
    for (;;) {
      const at = 3 * index;
      if (words[at + 2] === UNKNOWN || (words[at] === low && words[at + 1] === high)) return at;
      index = (index + 1) & (this.#capacity - 1);
    }
  }

  #grow(): void {
    const before = this.#words;
    this.#capacity *= 2;
    this.#words = new Uint32Array(3 * this.#capacity);
    for (let at = 0; at < before.length; at += 3) {
      const mark = before[at + 2] ?? UNKNOWN;
      if (mark === UNKNOWN) continue;
      const to = this.#find(before[at] ?? 0, before[at + 1] ?? 0);
      this.#words.set(before.subarray(at, at + 3), to);
    }
  }
}
