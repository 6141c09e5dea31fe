/** Ordinals below it are marks of the register. */
export const FIRST_ORDINAL = 3;
const LEAST_CAPACITY = 1_024;

/** What an account's requests came to within its first window. */
export interface AccountOutcome {
  readonly arm: number;
  readonly requests: number;
  readonly matches: number;
  readonly amount: number;
}

/**
 * Accounts in their first windows, by ordinal in the order in which they entered. They leave in the same order, so that
 * a ring of plain numbers holds them: 30 bytes each.
 */
export class AccountWindows {
  #capacity = 0;
  #oldest = FIRST_ORDINAL;
  #next = FIRST_ORDINAL;
  #beganMs = new Float64Array();
  #amount = new Float64Array();
  #slot = new Uint32Array();
  #requests = new Uint32Array();
  #matches = new Uint32Array();
  #arm = new Uint16Array();

  /** Whether the account's slot is not closed yet. */
  isOpen(ordinal: number): boolean {
    return ordinal >= this.#oldest;
  }

  /** @returns the ordinal of the account that begins its window now. */
  add({ slot, arm, nowMs }: { slot: number; arm: number; nowMs: number }): number {
    if (this.#next - this.#oldest === this.#capacity) this.#grow();
    const ordinal = this.#next;
    this.#next += 1;
    const at = this.#at(ordinal);
    this.#beganMs[at] = nowMs;
    this.#slot[at] = slot;
    this.#arm[at] = arm;
    this.#amount[at] = 0;
    this.#requests[at] = 0;
    this.#matches[at] = 0;
    return ordinal;
  }

  beganMs(ordinal: number): number {
    return this.#beganMs[this.#at(ordinal)] ?? 0;
  }

  /** Sequence of the slot in which it entered. */
  slotOf(ordinal: number): number {
    return this.#slot[this.#at(ordinal)] ?? 0;
  }

  /** Where it was dealt to, as given when it entered. */
  armOf(ordinal: number): number {
    return this.#arm[this.#at(ordinal)] ?? 0;
  }

  requested(ordinal: number): void {
    const at = this.#at(ordinal);
    this.#requests[at] = (this.#requests[at] ?? 0) + 1;
  }

  /** @returns whether no request of it is left. */
  withdrawn(ordinal: number): boolean {
    const at = this.#at(ordinal);
    const left = (this.#requests[at] ?? 0) - 1;
    this.#requests[at] = left;
    return left === 0;
  }

  matched(ordinal: number, amount: number): void {
    const at = this.#at(ordinal);
    this.#matches[at] = (this.#matches[at] ?? 0) + 1;
    this.#amount[at] = (this.#amount[at] ?? 0) + amount;
  }

  /** Forgets the accounts that entered in this slot, the oldest one, and hands each over. */
  leave(slot: number, each: (outcome: AccountOutcome) => void): void {
    while (this.#oldest < this.#next && this.slotOf(this.#oldest) === slot) {
      const at = this.#at(this.#oldest);
      this.#oldest += 1;
      each({
        arm: this.#arm[at] ?? 0,
        requests: this.#requests[at] ?? 0,
        matches: this.#matches[at] ?? 0,
        amount: this.#amount[at] ?? 0,
      });
    }
  }

  #at(ordinal: number): number {
    return ordinal % this.#capacity;
  }

  #grow(): void {
    const capacity = Math.max(LEAST_CAPACITY, this.#capacity * 2);
    const move = <T extends Float64Array | Uint32Array | Uint16Array>(from: T, to: T): T => {
      // In the few pieces that are in one piece before and after.
      for (let ordinal = this.#oldest; ordinal < this.#next;) {
        const at = this.#at(ordinal);
        const length = Math.min(this.#capacity - at, this.#next - ordinal);
        to.set(from.subarray(at, at + length), ordinal % capacity);
        ordinal += length;
      }
      return to;
    };
    this.#beganMs = move(this.#beganMs, new Float64Array(capacity));
    this.#amount = move(this.#amount, new Float64Array(capacity));
    this.#slot = move(this.#slot, new Uint32Array(capacity));
    this.#requests = move(this.#requests, new Uint32Array(capacity));
    this.#matches = move(this.#matches, new Uint32Array(capacity));
    this.#arm = move(this.#arm, new Uint16Array(capacity));
    this.#capacity = capacity;
  }
}
