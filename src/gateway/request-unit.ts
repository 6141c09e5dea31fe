import { cappedBy, type PendingUnit, rawOf, type Tally, type UnitSlot } from './unit-slot.ts';

/** A request that is a unit by itself. */
export class RequestUnit implements PendingUnit {
  readonly release: string;
  readonly #slot: UnitSlot;
  readonly #tally: Tally;
  readonly #assignedMs: number;
  readonly #now: () => number;

  constructor(slot: UnitSlot, tally: Tally, now: () => number) {
    this.release = tally.release;
    this.#slot = slot;
    this.#tally = tally;
    this.#assignedMs = slot.lastMs;
    this.#now = now;
    tally.n += 1;
    slot.units += 1;
    slot.awaited += 1;
  }

  settle(volume: number | null): void {
    if (this.#slot.closed) return;
    this.#slot.awaited -= 1;
    const { rules } = this.#slot;
    if (volume === null || this.#now() - this.#assignedMs > rules.timeoutMs) return;
    const raw = rawOf(rules, volume);
    this.#tally.outcome(rules.cap === null ? 1 : cappedBy(rules.cap, raw), raw);
  }

  withdraw(): void {
    if (this.#slot.closed) return;
    this.#slot.awaited -= 1;
    this.#slot.units -= 1;
    this.#tally.n -= 1;
  }
}
