import type { Logger } from 'pino';
import { FAILOVER, isMoved, isTurnedAway } from '../domain/policy/allotment.ts';
import type { KeyDecision } from '../domain/policy/route-key.ts';
import type { Backend } from './backend.ts';
import { Booking, type BookingParts } from './booking.ts';
import type { CompiledRoutes } from './compiled-routes.ts';
import type { Fleet } from './fleet.ts';
import type { RequestHead } from './request-head.ts';
import type { RoutingContext, Stamp } from './routing-context.ts';
import type { TrafficLedger } from './traffic-ledger.ts';
import type { Transaction, TransactionBook } from './transaction-book.ts';
import type { TransactionGroup } from './transaction-store.ts';
import type { TrafficRow } from './traffic-row.ts';
import type { UnitLedger } from './unit-ledger.ts';
import type { PendingUnit } from './unit-slot.ts';

/** Bucket of requests whose release had no server to take them. */
const NONE: readonly Backend[] = [];
const NO_GROUPS: readonly TransactionGroup[] = [];

/**
 * Decides for each request which server takes it, by the table executed now. The table is switched synchronously, and
 * a server is picked and counted as busy within one tick: no request goes by an older table than the one that was
 * acknowledged (invariants 1 and 2).
 */
export class TrafficDirector {
  readonly fleet: Fleet;
  readonly ledger: TrafficLedger;
  readonly transactions: TransactionBook;
  readonly context: RoutingContext;
  readonly units: UnitLedger;
  readonly #logger: Logger;
  #routes: CompiledRoutes | null = null;
  #openByRelease = new Map<string, Backend[]>();
  #turn = 0;
  /** Open before the restart, until there are routes by which they can go on. */
  #remembered = NO_GROUPS;

  constructor(parts: {
    fleet: Fleet;
    ledger: TrafficLedger;
    transactions: TransactionBook;
    context: RoutingContext;
    units: UnitLedger;
    logger: Logger;
  }) {
    this.fleet = parts.fleet;
    this.ledger = parts.ledger;
    this.transactions = parts.transactions;
    this.context = parts.context;
    this.units = parts.units;
    this.#logger = parts.logger;
  }

  get routes(): CompiledRoutes | null {
    return this.#routes;
  }

  /**
   * Transactions that were open before the restart. They go on with the first table that is executed, in the same tick:
   * nobody may find a draining server without them.
   */
  remember(groups: readonly TransactionGroup[]): void {
    this.#remembered = groups;
  }

  execute(routes: CompiledRoutes): void {
    this.#routes = routes;
    this.fleet.apply(routes.table);
    this.units.execute(routes.table);
    this.transactions.reviewed();
    this.#openByRelease = new Map();
    for (const backend of this.fleet.backends) {
      if (!backend.open) continue;
      const open = this.#openByRelease.get(backend.release);
      if (open === undefined) this.#openByRelease.set(backend.release, [backend]);
      else open.push(backend);
    }
    const rule = routes.table.transactions;
    if (rule === null) this.transactions.clear();
    else this.transactions.setIdleMs(rule.idleMs);
    if (this.#remembered.length === 0) return;
    this.transactions.takeUp(rule === null ? NO_GROUPS : this.#remembered, this.fleet.backends);
    this.#remembered = NO_GROUPS;
  }

  /** A place on a server for this request, counted as in flight from now on; null if no server may take it. */
  book(head: RequestHead): Booking | null {
    const routes = this.#routes;
    if (routes === null) return null;
    this.context.arrived(head);
    const id = routes.transactionId(head);
    const pinned = id === undefined ? undefined : this.transactions.get(id);
    const stamp = this.#stampOf(pinned, { head, routes, id });
    if (pinned !== undefined && this.transactions.holds(pinned)) {
      return this.#place(pinned, {
        head,
        routes,
        stamp,
        transaction: pinned,
        beginsTransaction: false,
        unit: null,
      });
    }
    const choice = this.#find(head, pinned, NONE);
    return choice === null ? null : this.#seat(choice, { head, routes, stamp, unit: null });
  }

  /**
   * Another place for a request that cannot have been processed where it was booked; null if there is none, and then
   * the booking stands. `tried` are the servers that did not take it; with `again`, the same server may try once more.
   */
  rebook(
    booking: Booking,
    head: RequestHead,
    { tried, again }: { tried: readonly Backend[]; again: boolean },
  ): Booking | null {
    const routes = this.#routes;
    if (routes === null) return null;
    const id = routes.transactionId(head);
    const pinned = id === undefined ? undefined : this.transactions.get(id);
    const found = this.#find(head, pinned, tried);
    const choice = found ?? (again && booking.backend.ingress !== 'closed' ? booking : null);
    if (choice === null) return null;
    booking.withdraw();
    return this.#seat(choice, { head, routes, stamp: booking.stamp, unit: booking.takeUnit() });
  }

  /** What was decided for services behind this one when the business began; now, where it begins now. */
  #stampOf(
    pinned: Transaction | undefined,
    { head, routes, id }: { head: RequestHead; routes: CompiledRoutes; id: string | undefined },
  ): Stamp {
    if (pinned !== undefined && pinned.stamp.routes !== '') return pinned.stamp;
    const stamp = this.context.stamp(head, routes, id);
    if (pinned !== undefined && stamp.routes !== '') this.transactions.stampLate(pinned, stamp);
    return stamp;
  }

  /** Takes the place, with the transaction as it stands: going on there, cut and begun anew, or new. */
  #seat(
    { backend, bucket }: Choice,
    { head, routes, stamp, unit }: Pick<BookingParts, 'head' | 'routes' | 'stamp' | 'unit'>,
  ): Booking {
    const id = routes.transactionId(head);
    // Each object by its names: copying one with `...` takes longer than all else that is done for a request here.
    const place = { backend, bucket };
    if (id === undefined) {
      return this.#place(place, { head, routes, stamp, transaction: null, beginsTransaction: false, unit });
    }
    const pinned = this.transactions.get(id);
    if (pinned !== undefined && pinned.backend === backend && this.transactions.holds(pinned)) {
      return this.#place(place, {
        head,
        routes,
        stamp,
        transaction: pinned,
        beginsTransaction: false,
        unit,
      });
    }
    if (pinned !== undefined) this.#cut(pinned, backend);
    const transaction = this.transactions.begin(id, backend, bucket, stamp);
    return this.#place(place, { head, routes, stamp, transaction, beginsTransaction: true, unit });
  }

  #place(
    { backend, bucket }: Choice,
    what: Pick<BookingParts, 'head' | 'routes' | 'stamp' | 'transaction' | 'beginsTransaction' | 'unit'>,
  ): Booking {
    let row = backend.rows.get(bucket);
    if (row === undefined) {
      row = this.ledger.row({
        release: backend.release,
        cluster: backend.cluster,
        server: backend.name,
        bucket,
      });
      backend.rows.set(bucket, row);
    }
    const { release } = backend;
    const { head, routes, stamp, transaction, beginsTransaction } = what;
    const baggage = this.context.outgoing(head, routes, { release, stamp });
    const book = this.transactions;
    const unit = this.#unitOf(row, what);
    return new Booking({
      backend,
      row,
      baggage,
      book,
      head,
      routes,
      stamp,
      transaction,
      beginsTransaction,
      unit,
    });
  }

  /** What the request counts for the decision: once, however often it is tried on servers of the same release. */
  #unitOf(
    { release, bucket, allotted }: TrafficRow,
    { head, routes, unit: before }: Pick<BookingParts, 'head' | 'routes' | 'unit'>,
  ): PendingUnit | null {
    if (before !== null) {
      if (allotted && before.release === release) return before;
      before.withdraw();
    }
    const { rules } = this.units;
    if (rules === null || !(allotted || (rules.byAccount && isTurnedAway(bucket)))) return null;
    const allocated = routes.measure.isAllocated(head.method, head.path);
    const group = allotted ? rules.groupOf(bucket) : undefined;
    if (!rules.byAccount)
      return allocated && group !== undefined ? this.units.ofRequest(release, group) : null;
    const key = this.context.keyOf(head, routes);
    const account = key === undefined ? undefined : routes.accountOf(key, head);
    if (account === undefined) return null;
    if (allotted)
      return group === undefined ? null : this.units.ofAccount({ account, release, group, allocated });
    if (!allocated) return null;
    if (isMoved(bucket))
      this.units.passBy(account, this.context.decide(head, routes, { serves: this.#serves, again: true }));
    // Who is held back would not have entered in any case, where there is no control arm: he may when the share grows.
    else if (rules.leftOut === null || !routes.isHeldBack(key, head)) this.units.passBy(account);
    return null;
  }

  #find(head: RequestHead, pinned: Transaction | undefined, tried: readonly Backend[]): Choice | null {
    const routes = this.#routes;
    if (routes === null) return null;
    const stay = pinned === undefined ? null : this.#sameRelease(pinned, tried);
    if (stay !== null) return stay;
    const decision = this.context.decide(head, routes, {
      serves: this.#serves,
      again: tried.length > 0,
    });
    return this.#choose(decision, routes, tried);
  }

  readonly #serves = (release: string): boolean => this.#openByRelease.has(release);

  #cut(transaction: Transaction, to: Backend): void {
    this.transactions.cutOff(transaction);
    this.#logger.warn(
      { from: transaction.backend.name, release: transaction.release, to: to.name },
      'a transaction was cut: its server can no longer take it',
    );
  }

  /** A cut transaction at least stays on its version where another server has it (invariant 5). */
  #sameRelease(pinned: Transaction, tried: readonly Backend[]): Choice | null {
    const backend = this.#leastBusy(pinned.release, tried, true);
    return backend === null ? null : { backend, bucket: pinned.bucket };
  }

  #choose(decision: KeyDecision, routes: CompiledRoutes, tried: readonly Backend[]): Choice | null {
    const wanted = this.#leastBusy(decision.release, tried, true);
    if (wanted !== null) return { backend: wanted, bucket: decision.bucket };
    const { mainRelease, split } = routes.table;
    const refuges = split === null ? [mainRelease] : [mainRelease, split.baseline];
    for (const release of refuges) {
      const refuge = this.#leastBusy(release, tried, true);
      if (refuge !== null) return { backend: refuge, bucket: FAILOVER };
    }
    // All are out: an attempt that may fail is better than a refusal that surely does.
    const last = this.#leastBusy(decision.release, tried, false);
    if (last !== null) return { backend: last, bucket: decision.bucket };
    for (const release of refuges) {
      const refuge = this.#leastBusy(release, tried, false);
      if (refuge !== null) return { backend: refuge, bucket: FAILOVER };
    }
    return null;
  }

  #leastBusy(release: string, tried: readonly Backend[], onlyHealthy: boolean): Backend | null {
    const open = this.#openByRelease.get(release);
    if (open === undefined) return null;
    // Starting at another one each time lets servers that are equally busy take turns.
    this.#turn = (this.#turn + 1) % 1_000_000_007;
    let best: Backend | null = null;
    for (let i = 0, at = this.#turn % open.length; i < open.length; i += 1) {
      const backend = open[at];
      at = at + 1 === open.length ? 0 : at + 1;
      if (backend === undefined || (onlyHealthy && !backend.health.healthy)) continue;
      if (best !== null && backend.inFlight >= best.inFlight) continue;
      if (tried.length > 0 && tried.includes(backend)) continue;
      best = backend;
    }
    return best;
  }
}

/** A server, and the bucket under which a request is counted there. */
export interface Choice {
  readonly backend: Backend;
  readonly bucket: string;
}
