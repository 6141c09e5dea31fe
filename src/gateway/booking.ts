import { readAmount } from '../domain/amount.ts';
import type { Backend } from './backend.ts';
import type { CompiledRoutes } from './compiled-routes.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import type { Stamp } from './routing-context.ts';
import type { Outcome, TrafficRow } from './traffic-row.ts';
import type { Transaction, TransactionBook } from './transaction-book.ts';
import type { PendingUnit } from './unit-slot.ts';

export interface BookingParts {
  readonly backend: Backend;
  readonly row: TrafficRow;
  readonly transaction: Transaction | null;
  /** The transaction began with this request. */
  readonly beginsTransaction: boolean;
  readonly head: RequestHead;
  readonly stamp: Stamp;
  /** The `baggage` field for the server; empty for none besides the head's fields. */
  readonly baggage: string;
  readonly routes: CompiledRoutes;
  readonly book: TransactionBook;
  /** What it counts for the decision, if it does. */
  readonly unit: PendingUnit | null;
}

/**
 * One request's place on a server: in flight from the moment it exists until `settle` or `withdraw`, of which the
 * first one counts. All that is counted of the exchange goes through here, whatever carries it.
 */
export class Booking {
  readonly backend: Backend;
  readonly routes: CompiledRoutes;
  readonly stamp: Stamp;
  /** The fields as they go to the server. */
  readonly headers: string[];
  readonly #row: TrafficRow;
  readonly #transaction: Transaction | null;
  readonly #beginsTransaction: boolean;
  readonly #head: RequestHead;
  readonly #book: TransactionBook;
  #unit: PendingUnit | null;
  readonly #startedMs = performance.now();
  readonly #allocated: boolean;
  #counted = false;
  #over = false;
  #status = 0;
  /** Amount of the transaction volume, or null where the exchange is none. */
  #volume: number | null = null;
  /** It is transaction volume with something else for an amount. */
  #unread = false;
  #latencyMs = -1;

  constructor(parts: BookingParts) {
    this.backend = parts.backend;
    this.routes = parts.routes;
    this.stamp = parts.stamp;
    const { headers } = parts.head;
    this.headers = parts.baggage === '' ? headers : headers.concat('baggage', parts.baggage);
    this.#row = parts.row;
    this.#transaction = parts.transaction;
    this.#beginsTransaction = parts.beginsTransaction;
    this.#head = parts.head;
    this.#book = parts.book;
    this.#unit = parts.unit;
    this.#allocated = parts.routes.measure.isAllocated(parts.head.method, parts.head.path);
    this.backend.take();
    if (this.#transaction !== null) this.#book.requestBegan(this.#transaction);
  }

  get bucket(): string {
    return this.#row.bucket;
  }

  /** Hands over what it counts for the decision, for a booking that takes its place. */
  takeUnit(): PendingUnit | null {
    const unit = this.#unit;
    this.#unit = null;
    return unit;
  }

  /** The request is about to be written to the server: it counts as this server's. */
  sent(): void {
    if (this.#counted) return;
    this.#counted = true;
    this.#row.begun(this.#allocated);
  }

  /** The final response's head has come. */
  answered(status: number, response: ResponseHead): void {
    this.#status = status;
    const { measure } = this.routes;
    const { method, path } = this.#head;
    if (measure.isVolume({ method, path, status, header: response.volumeHeader })) {
      const amount = readAmount(response.amountHeader ?? '0');
      this.#unread = amount === null;
      this.#volume = amount ?? 0;
    }
    this.#followTransaction(response);
  }

  /** An upgraded connection: its answer has been given, though it lives on. */
  switched(): void {
    this.#latencyMs = performance.now() - this.#startedMs;
    this.takeUnit()?.settle(this.#volume);
  }

  settle(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.sent();
    if (outcome === 'answered') {
      const latencyMs = this.#latencyMs < 0 ? performance.now() - this.#startedMs : this.#latencyMs;
      this.#row.answered(this.#status, latencyMs, this.routes.measure.slowMs);
      if (this.#volume !== null) this.#row.volume(this.#volume);
      if (this.#unread) this.#row.unread();
    } else {
      this.#row.unanswered(outcome);
    }
    this.takeUnit()?.settle(outcome === 'answered' ? this.#volume : null);
    this.#giveBack();
  }

  /** Nothing can have been processed here: another server takes the request, and counts it. */
  withdraw(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#counted) this.#row.moved(this.#allocated);
    // What never reached the server never began there: going elsewhere cuts nothing.
    if (this.#transaction !== null && this.#beginsTransaction && this.#transaction.underWay === 1) {
      this.#book.end(this.#transaction);
    }
    this.#giveBack();
  }

  #giveBack(): void {
    if (this.#transaction !== null) this.#book.requestEnded(this.#transaction);
    this.backend.giveBack();
  }

  /** A server may begin a transaction by its answer, or say that one is over. */
  #followTransaction(response: ResponseHead): void {
    const given = response.transactionCookie ?? response.transactionHeader;
    if (response.ends || given === '') {
      if (this.#transaction !== null) this.#book.end(this.#transaction);
      return;
    }
    // A server that was closed meanwhile (by force) cannot hold what would begin there.
    if (given === undefined || this.backend.ingress === 'closed' || this.#book.get(given) !== undefined)
      return;
    const begun = this.#book.begin(given, this.backend, this.bucket, this.stamp);
    this.#book.requestBegan(begun);
    this.#book.requestEnded(begun);
  }
}
