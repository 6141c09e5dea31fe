import type { Logger } from 'pino';
import { isAllotted } from '../domain/policy/allotment.ts';
import type { KeyDecision } from '../domain/policy/route-key.ts';
import { accountPartOf, EVERY_ACCOUNT, type AccountPart } from '../domain/routes/account-part.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { GatewayUnits, UnitCount } from '../protocol/gateway.ts';
import { type AccountRegister, isOrdinal, UNKNOWN } from './account-register.ts';
import { type AccountRequest, AccountUnits } from './account-units.ts';
import { RequestUnit } from './request-unit.ts';
import { type PendingUnit, Tally, type UnitRules, unitRulesOf, UnitSlot } from './unit-slot.ts';

/** So often it is said at most that accounts are not entered, in milliseconds. */
const TELL_EVERY_MS = 60_000;

/**
 * Counts units for the decision at their assignment, and reports them once their outcomes are known: slot by slot in the
 * order of time, and each slot for all releases at once, so that slow successes are never missing beside quick failures.
 * No timer runs: slots are closed when another one is opened, and when somebody reads.
 */
export class UnitLedger {
  readonly #accounts: AccountUnits;
  readonly #gateway: string;
  readonly #part: AccountPart;
  readonly #logger: Logger;
  readonly #now: () => number;
  #rules: UnitRules | null = null;
  #trial: string | null = null;
  /** Open slots in the order of time; only the last one may take units. */
  #slots: UnitSlot[] = [];
  #taking = false;
  #sequence = 0;
  /** What is reported: table version → tallies, one for each release and group. */
  #counts = new Map<number, Tally[]>();
  #toldMs = -Infinity;

  constructor(parts: {
    register: AccountRegister;
    /** By which a table may know this gateway. */
    gateway?: string;
    /** Of the accounts, where the table divides them not by itself; by default all. */
    part?: AccountPart;
    logger: Logger;
    /** A clock that never goes back, in milliseconds. */
    now?: () => number;
  }) {
    this.#accounts = new AccountUnits(parts.register);
    this.#gateway = parts.gateway ?? '';
    this.#part = parts.part ?? EVERY_ACCOUNT;
    this.#logger = parts.logger;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** How units are counted now; null: not at all. */
  get rules(): UnitRules | null {
    return this.#rules;
  }

  /** What is assigned from now on counts under this table. */
  execute(table: RouteTable): void {
    this.#taking = false;
    const before = this.#rules;
    this.#rules = unitRulesOf(table);
    if (this.#rules === null) return;
    this.#accounts.divide(accountPartOf(table.split?.counting ?? {}, this.#gateway, this.#part));
    if (this.#rules.trial === this.#trial) {
      if (before !== null && before.allotment !== this.#rules.allotment) this.#voidWindows();
      return;
    }
    this.#trial = this.#rules.trial;
    for (const slot of this.#slots) slot.closed = true;
    this.#slots = [];
    this.#counts = new Map();
    this.#accounts.begin(this.#trial);
  }

  /**
   * The shares change: some accounts go to another version from now on, and their windows would hold a mixture that may
   * favour one of three versions by what another one does. All that are open are left out, whatever version they met
   * first: which ones these are depends on the time they came alone.
   */
  #voidWindows(): void {
    const nowMs = this.#now();
    for (const slot of this.#slots) slot.void ||= slot.isWithinWindow(nowMs);
  }

  /** Nothing is assigned any more: the slot that takes units need not wait for its time to be over. */
  end(): void {
    this.#taking = false;
  }

  /** For an allocated request that the policy sent to this release, of this group; null where it is no unit. */
  ofRequest(release: string, group: string): PendingUnit | null {
    const rules = this.#rules;
    if (rules === null || release === rules.leftOut) return null;
    const slot = this.#slotFor(rules);
    const tally = slot.tallies[slot.armOf(release, group)];
    return tally === undefined ? null : new RequestUnit(slot, tally, this.#now);
  }

  /** For a request that the policy sent to this release; null where it belongs to no account's window. */
  ofAccount(request: AccountRequest): PendingUnit | null {
    const rules = this.#rules;
    if (rules === null) return null;
    const accounts = this.#accounts;
    if (!accounts.isOurs(request.account)) return null;
    const mark = accounts.find(request.account);
    if (isOrdinal(mark)) return this.#follow(request, mark);
    if (!request.allocated || request.release === rules.leftOut) return null;
    if (accounts.mayEnter(mark)) return accounts.enter(request, this.#slotFor(rules), this.#now);
    if (mark === UNKNOWN) this.#tellBeyond();
    return null;
  }

  /**
   * For an allocated request whose version was pulled or is down: its account does not enter with a later one either.
   * `dealt` is what the policy said of it, where the version is to have its share all the same: the account is told with
   * those that enter now, for a split is right or wrong by who was dealt where.
   */
  passBy(account: string, dealt?: KeyDecision): void {
    const rules = this.#rules;
    if (rules?.byAccount !== true || !this.#accounts.isOurs(account)) return;
    if (!this.#accounts.passBy(account) || dealt === undefined) return;
    const group = isAllotted(dealt.bucket) ? rules.groupOf(dealt.bucket) : undefined;
    if (group === undefined || dealt.release === rules.leftOut) return;
    const slot = this.#slotFor(rules);
    slot.journaled = this.#accounts.register.journal.noted;
    const tally = slot.tallies[slot.armOf(dealt.release, group)];
    if (tally !== undefined) tally.passed += 1;
  }

  get openSlots(): number {
    return this.#slots.length;
  }

  /** What is known so far; undefined where nothing is counted. */
  report(): GatewayUnits | undefined {
    if (this.#trial === null || this.#rules === null) return undefined;
    this.#closeSlots(this.#now());
    const counts: UnitCount[] = [];
    for (const [tableVersion, tallies] of this.#counts) {
      for (const { release, group, n, sum, squares, uncapped, passed } of tallies) {
        const row = { tableVersion, release, group, n, sum, squares, uncapped };
        counts.push(this.#rules.byAccount ? { ...row, passed } : row);
      }
    }
    const pending = this.#slots.reduce((total, { units }) => total + units, 0);
    return { trial: this.#trial, counts, pending, beyond: this.#accounts.beyond };
  }

  #follow(request: AccountRequest, ordinal: number): PendingUnit | null {
    const first = this.#slots[0]?.sequence ?? 0;
    const slot = this.#slots[this.#accounts.slotOf(ordinal) - first];
    if (slot === undefined) return null;
    if (this.#accounts.ageMs(ordinal, this.#now()) >= slot.rules.windowMs) return null;
    return this.#accounts.follow(request, { ordinal, slot, now: this.#now });
  }

  /** The slot that takes what is assigned now. */
  #slotFor(rules: UnitRules): UnitSlot {
    const nowMs = this.#now();
    const last = this.#taking ? this.#slots.at(-1) : undefined;
    if (last !== undefined && nowMs < last.untilMs) {
      last.lastMs = nowMs;
      return last;
    }
    this.#taking = false;
    this.#closeSlots(nowMs);
    this.#sequence += 1;
    const slot = new UnitSlot(rules, this.#sequence, nowMs);
    this.#slots.push(slot);
    this.#taking = true;
    return slot;
  }

  /** Strictly in order: a slot waits for those before it. */
  #closeSlots(nowMs: number): void {
    const { written } = this.#accounts.register.journal;
    let closed = 0;
    for (const [index, slot] of this.#slots.entries()) {
      const takes = this.#taking && index === this.#slots.length - 1 && nowMs < slot.untilMs;
      if (takes || !slot.isComplete(nowMs, written)) break;
      this.#close(slot);
      closed += 1;
    }
    if (closed === 0) return;
    this.#slots.splice(0, closed);
    if (this.#slots.length === 0) this.#taking = false;
  }

  #close(slot: UnitSlot): void {
    slot.closed = true;
    if (slot.rules.byAccount) this.#accounts.close(slot);
    if (slot.void) return;
    const { tableVersion } = slot.rules;
    let counts = this.#counts.get(tableVersion);
    if (counts === undefined) this.#counts.set(tableVersion, (counts = []));
    for (const tally of slot.tallies) {
      if (tally.n + tally.passed === 0) continue;
      const { release, group } = tally;
      let count = counts.find((each) => each.release === release && each.group === group);
      if (count === undefined) counts.push((count = new Tally(release, group)));
      count.add(tally);
    }
  }

  #tellBeyond(): void {
    const nowMs = this.#now();
    if (nowMs - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = nowMs;
    this.#logger.warn(
      { known: this.#accounts.register.size, beyond: this.#accounts.beyond },
      'too many accounts: new ones are not counted for the decision; raise --max-accounts',
    );
  }
}
