import { slotOf } from '../domain/policy/route-key.ts';
import type { AccountPart } from '../domain/routes/account-part.ts';
import { type AccountRegister, isOrdinal, PAST, UNKNOWN } from './account-register.ts';
import { type AccountOutcome, AccountWindows } from './account-windows.ts';
import { cappedBy, type PendingUnit, rawOf, type UnitSlot } from './unit-slot.ts';

/** A request with an account, that the policy allotted. */
export interface AccountRequest {
  readonly account: string;
  readonly release: string;
  /** In which versions are compared. */
  readonly group: string;
  /** The plan counts it as allocated traffic. */
  readonly allocated: boolean;
}

/** Of the hash by which all gateways divide the accounts of a trial among them. */
export function accountSalt(trial: string): string {
  return `count:${trial}`;
}

/** @param slot - the account's, by `accountSalt`. */
export function isInPart(slot: number, { part, of }: AccountPart): boolean {
  return slot % of === part - 1;
}

/**
 * Accounts as units: each enters once in a trial, with its first allocated request or never, and its outcome is that of
 * its requests within its window. One whose first request could not be counted (its version was pulled, or down) does not
 * enter later: who comes back is another kind of customer than who comes for the first time, and versions would get more
 * or fewer of them by what had befallen others.
 */
export class AccountUnits {
  readonly register: AccountRegister;
  #windows = new AccountWindows();
  /** Requests of accounts for which there was no room. */
  beyond = 0;

  /** Undefined: none of the accounts is ours. */
  #part: AccountPart | undefined = undefined;
  #salt = '';

  constructor(register: AccountRegister) {
    this.register = register;
  }

  /** Which of the accounts enter here from now on. */
  divide(part: AccountPart | undefined): void {
    this.#part = part;
  }

  /** Another trial than that of the register forgets its accounts; what was restored of this trial stays. */
  begin(trial: string): void {
    if (this.register.trial !== trial) this.register.begin(trial);
    this.#windows = new AccountWindows();
    this.beyond = 0;
    this.#salt = accountSalt(trial);
  }

  /** Whether the account is in this gateway's part: by its hash, which all gateways compute alike. */
  isOurs(account: string): boolean {
    if (this.#part === undefined) return false;
    return this.#part.of === 1 || isInPart(slotOf(account, this.#salt), this.#part);
  }

  /** The account's ordinal while its window's slot is open; else a mark of the register (PAST where it closed). */
  find(account: string): number {
    const mark = this.register.get(account);
    return isOrdinal(mark) && !this.#windows.isOpen(mark) ? PAST : mark;
  }

  /** Whether an account with this mark may enter; who finds no room is counted. */
  mayEnter(mark: number): boolean {
    if (mark !== UNKNOWN) return false;
    if (!this.register.isFull) return true;
    this.beyond += 1;
    return false;
  }

  /** The account's first request cannot be counted. @returns whether it was its first one. */
  passBy(account: string): boolean {
    const { register } = this;
    if (register.get(account) !== UNKNOWN || register.isFull) return false;
    register.set(account, PAST);
    return true;
  }

  /** Sequence of the slot in which the account with this ordinal entered. */
  slotOf(ordinal: number): number {
    return this.#windows.slotOf(ordinal);
  }

  /** How long ago the window of the account with this ordinal began. */
  ageMs(ordinal: number, nowMs: number): number {
    return nowMs - this.#windows.beganMs(ordinal);
  }

  /** The account enters with this request, which is allocated. */
  enter(request: AccountRequest, slot: UnitSlot, now: () => number): PendingUnit {
    const arm = slot.armOf(request.release, request.group);
    const ordinal = this.#windows.add({ slot: slot.sequence, arm, nowMs: slot.lastMs });
    this.register.set(request.account, ordinal);
    slot.journaled = this.register.journal.noted;
    slot.units += 1;
    return this.follow(request, { ordinal, slot, now });
  }

  /** A request of an account within its window. */
  follow(request: AccountRequest, place: Place): PendingUnit {
    return new RequestOfAccount(request, place, { windows: this.#windows, register: this.register });
  }

  /** The windows of the oldest slot are over, and their outcomes go into its tallies. */
  close(slot: UnitSlot): void {
    const { cap } = slot.rules;
    this.#windows.leave(slot.sequence, ({ arm, requests, matches, amount }: AccountOutcome) => {
      const tally = slot.tallies[arm];
      if (tally === undefined || requests === 0) return;
      tally.n += 1;
      // What counts as success may be another request than what is allocated: a visit, and the purchase after it.
      tally.outcome(cap === null ? Math.min(1, matches / requests) : cappedBy(cap, amount), amount);
    });
  }
}

interface Place {
  readonly ordinal: number;
  readonly slot: UnitSlot;
  readonly now: () => number;
}

class RequestOfAccount implements PendingUnit {
  readonly #request: AccountRequest;
  readonly #place: Place;
  readonly #known: { readonly windows: AccountWindows; readonly register: AccountRegister };

  constructor(
    request: AccountRequest,
    place: Place,
    known: { readonly windows: AccountWindows; readonly register: AccountRegister },
  ) {
    this.#request = request;
    this.#place = place;
    this.#known = known;
    place.slot.awaited += 1;
    if (request.allocated) known.windows.requested(place.ordinal);
  }

  get release(): string {
    return this.#request.release;
  }

  settle(volume: number | null): void {
    const { slot, ordinal, now } = this.#place;
    if (slot.closed) return;
    slot.awaited -= 1;
    if (volume === null) return;
    const { windows } = this.#known;
    const { rules } = slot;
    const knownUntilMs = windows.beganMs(ordinal) + rules.windowMs + rules.timeoutMs;
    if (now() <= knownUntilMs) windows.matched(ordinal, rawOf(rules, volume));
  }

  withdraw(): void {
    const { slot, ordinal } = this.#place;
    if (slot.closed) return;
    slot.awaited -= 1;
    const { windows, register } = this.#known;
    if (!this.#request.allocated || !windows.withdrawn(ordinal)) return;
    slot.units -= 1;
    const tally = slot.tallies[windows.armOf(ordinal)];
    if (tally !== undefined) tally.passed += 1;
    register.set(this.#request.account, PAST);
  }
}
