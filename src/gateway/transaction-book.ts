import type { Logger } from 'pino';
import type { Backend } from './backend.ts';
import { NO_STAMP, type Stamp } from './routing-context.ts';
import type { TransactionGroup } from './transaction-store.ts';

/** How many idle transactions are looked at for one to forget. */
const EVICTION_LOOK = 64;
/** So often it is said at most that transactions are forgotten, in milliseconds. */
const TELL_EVERY_MS = 60_000;

/** A transaction of several requests, pinned to the server and release on which it began (invariant 5). */
export interface Transaction {
  readonly id: string;
  readonly backend: Backend;
  readonly release: string;
  readonly bucket: string;
  /** What it meets behind its server: decided once (see `RoutingContext`). */
  stamp: Stamp;
  /** Of the backend when the transaction began; when it has moved on, the transaction cannot go on there. */
  readonly generation: number;
  /** Requests of it under way. */
  underWay: number;
  /** When its last request ended, by the monotonic clock in milliseconds. */
  idleSinceMs: number;
  over: boolean;
}

/**
 * The transactions that are not over. Idle ones lie in the order in which they became idle, so that one timer for the
 * oldest is enough. Memory is bounded: beyond `max` the one idle for longest is forgotten, which is counted and said.
 */
export class TransactionBook {
  readonly #max: number;
  readonly #logger: Logger;
  readonly #byId = new Map<string, Transaction>();
  /** In the order of becoming idle. */
  readonly #idle = new Map<string, Transaction>();
  #idleMs = Infinity;
  #timer: NodeJS.Timeout | null = null;
  #toldMs = -Infinity;
  /** Grows whenever other transactions than before may be open. */
  changes = 0;
  /** Transactions that had to leave their server before they were over. */
  cut = 0;
  /** Transactions forgotten because there were too many. */
  evicted = 0;

  constructor(max: number, logger: Logger) {
    this.#max = max;
    this.#logger = logger;
  }

  get live(): number {
    return this.#byId.size;
  }

  /** How long a transaction lives without a request. A changed value holds for those that are idle already. */
  setIdleMs(idleMs: number): void {
    if (idleMs === this.#idleMs) return;
    this.#idleMs = idleMs;
    this.#disarm();
    this.#arm();
  }

  /** No transactions are known any longer; those there are count as over. */
  clear(): void {
    for (const transaction of [...this.#byId.values()]) this.end(transaction);
    this.#disarm();
  }

  get(id: string): Transaction | undefined {
    return this.#byId.get(id);
  }

  /** True while the transaction may go on where it began. */
  holds(transaction: Transaction): boolean {
    return transaction.generation === transaction.backend.generation;
  }

  begin(id: string, backend: Backend, bucket: string, stamp: Stamp = NO_STAMP): Transaction {
    if (this.#byId.size >= this.#max) this.#evict();
    const transaction: Transaction = {
      id,
      backend,
      release: backend.release,
      bucket,
      stamp,
      generation: backend.generation,
      underWay: 0,
      idleSinceMs: 0,
      over: false,
    };
    this.changes += 1;
    this.#byId.set(id, transaction);
    backend.transactions += 1;
    return transaction;
  }

  /** A table came into effect, by which some may not go on where they began. */
  reviewed(): void {
    if (this.#byId.size > 0) this.changes += 1;
  }

  /** It was open before anything could be decided for what is behind its server. */
  stampLate(transaction: Transaction, stamp: Stamp): void {
    transaction.stamp = stamp;
    this.changes += 1;
  }

  /** Those that may go on where they began. */
  *lasting(): Iterable<Transaction> {
    for (const transaction of this.#byId.values()) if (this.holds(transaction)) yield transaction;
  }

  /** Goes on with what was open before a restart, on servers that still take it; all of it is idle as of now. */
  takeUp(groups: readonly TransactionGroup[], backends: Iterable<Backend>): void {
    this.changes += 1;
    const byName = new Map([...backends].map((backend) => [backend.name, backend]));
    for (const { server, release, bucket, ids, routes = '', aliases = {} } of groups) {
      const backend = byName.get(server);
      if (backend === undefined || backend.release !== release || backend.ingress === 'closed') continue;
      for (const id of ids) {
        if (this.#byId.size >= this.#max) return;
        if (this.#byId.has(id)) continue;
        const stamp = routes === '' ? NO_STAMP : { id: aliases[id] ?? id, routes };
        this.#becomeIdle(this.begin(id, backend, bucket, stamp));
      }
    }
  }

  requestBegan(transaction: Transaction): void {
    transaction.underWay += 1;
    if (transaction.underWay === 1) this.#idle.delete(transaction.id);
  }

  requestEnded(transaction: Transaction): void {
    transaction.underWay -= 1;
    if (transaction.underWay > 0 || transaction.over) return;
    this.#becomeIdle(transaction);
  }

  /** It is over: its server is no longer held for it. Safe to call twice. */
  end(transaction: Transaction): void {
    if (transaction.over) return;
    transaction.over = true;
    this.changes += 1;
    this.#byId.delete(transaction.id);
    this.#idle.delete(transaction.id);
    if (this.holds(transaction)) transaction.backend.transactionOver();
  }

  /** It must go on elsewhere. */
  cutOff(transaction: Transaction): void {
    this.cut += 1;
    this.end(transaction);
  }

  #becomeIdle(transaction: Transaction): void {
    transaction.idleSinceMs = performance.now();
    this.#idle.set(transaction.id, transaction);
    if (this.#timer === null) this.#arm();
  }

  #evict(): void {
    const victim = this.#victim();
    if (victim === undefined) return;
    this.evicted += 1;
    this.end(victim);
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#logger.warn(
      { max: this.#max, evicted: this.evicted },
      'too many open transactions: those idle for longest are forgotten; raise --max-transactions',
    );
  }

  /** Never one with a request under way; one that a draining server waits for only as a last resort. */
  #victim(): Transaction | undefined {
    let seen = 0;
    for (const idle of this.#idle.values()) {
      if (idle.backend.ingress !== 'draining' || !this.holds(idle)) return idle;
      seen += 1;
      if (seen === EVICTION_LOOK) break;
    }
    const [oldest] = this.#idle.values();
    return oldest;
  }

  #arm(): void {
    const [oldest] = this.#idle.values();
    if (oldest === undefined || this.#idleMs === Infinity) return;
    const inMs = oldest.idleSinceMs + this.#idleMs - performance.now();
    // Longer than a timer can wait (2^31 ms): wake up in between.
    this.#timer = setTimeout(() => this.#expire(), Math.min(Math.max(inMs, 1), 2 ** 31 - 1));
    this.#timer.unref();
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #expire(): void {
    this.#timer = null;
    const before = performance.now() - this.#idleMs;
    for (const transaction of this.#idle.values()) {
      if (transaction.idleSinceMs > before) break;
      this.end(transaction);
    }
    this.#arm();
  }
}
