import { EVERYONE } from '../domain/decision/block.ts';
import { dealtGroups, groupOfBucket } from '../domain/policy/groups.ts';
import type { TrafficPolicy } from '../domain/policy/policy.ts';
import type { VolumeKind } from '../domain/measure.ts';
import type { RouteTable, TrafficSplit } from '../domain/routes/table.ts';

/** Slots are this wide at least, in milliseconds. */
const SLOT_MS = 250;
/** No more slots than this are open at once: where outcomes are awaited for long, slots are wider. */
const OPEN_SLOTS = 1_000;

/** How units are counted while one table is executed. */
export interface UnitRules {
  readonly tableVersion: number;
  readonly trial: string;
  readonly byAccount: boolean;
  /** Release whose units are not entered: without control arm, the baseline. */
  readonly leftOut: string | null;
  /** The group in which the units of an allotted bucket are compared; undefined where they are in none. */
  readonly groupOf: (bucket: string) => string | undefined;
  readonly timeoutMs: number;
  /** 0 where each request is a unit. */
  readonly windowMs: number;
  /** Outcomes are amounts, capped by this; null: successes by what was allocated, 1 at most. */
  readonly cap: number | null;
  readonly kind: VolumeKind;
  /** Width of a slot, in milliseconds. */
  readonly slotMs: number;
  /** Policy and share as a text: where it changes, keys change their versions. */
  readonly allotment: string;
}

/** Null where the table asks for no counting by unit. */
export function unitRulesOf({ version, split, measure }: RouteTable): UnitRules | null {
  const counting = split?.counting;
  if (split === null || counting === undefined) return null;
  const { kind } = measure.volume;
  const byAccount = counting.unit === 'account';
  const windowMs = byAccount ? counting.windowMs : 0;
  return {
    tableVersion: version,
    trial: split.salt,
    byAccount,
    leftOut: counting.control ? null : split.baseline,
    groupOf: compileGroupOf(split.policy),
    timeoutMs: counting.timeoutMs,
    windowMs,
    cap: kind === 'successes' ? null : (counting.cap ?? null),
    kind,
    slotMs: Math.max(SLOT_MS, (windowMs + counting.timeoutMs) / OPEN_SLOTS),
    allotment: allotmentOf(split),
  };
}

/** Policy and share as a text. */
export function allotmentOf({ policy, share }: TrafficSplit): string {
  return JSON.stringify([policy, share]);
}

/** Where the policy deals groups at random, only what it dealt is compared; any other policy has one group of all. */
function compileGroupOf(policy: TrafficPolicy): UnitRules['groupOf'] {
  const groups = new Set(dealtGroups(policy).map(({ name }) => name));
  return groups.size === 0 ? () => EVERYONE : (bucket) => groupOfBucket(bucket, groups);
}

/** What a match of the volume rule is worth before it is capped: the amount, else 1. */
export function rawOf({ kind }: UnitRules, volume: number): number {
  return kind === 'amount' ? volume : 1;
}

/** An amount between 0 and 1. */
export function cappedBy(cap: number, raw: number): number {
  return Math.min(Math.max(raw / cap, 0), 1);
}

/** What the units of one release in one group came to. */
export class Tally {
  readonly release: string;
  readonly group: string;
  n = 0;
  sum = 0;
  squares = 0;
  uncapped = 0;
  /** Accounts that were dealt here and do not enter, as the release had no server for them. */
  passed = 0;

  constructor(release: string, group: string) {
    this.release = release;
    this.group = group;
  }

  outcome(value: number, uncapped: number): void {
    this.sum += value;
    this.squares += value * value;
    this.uncapped += uncapped;
  }

  add(other: Tally): void {
    this.n += other.n;
    this.sum += other.sum;
    this.squares += other.squares;
    this.uncapped += other.uncapped;
    this.passed += other.passed;
  }
}

/** A request that counts for the decision, from its assignment until its outcome is known. Call one of the two once. */
export interface PendingUnit {
  /** Where the request was sent. */
  readonly release: string;
  /** It has ended: with this volume, or null where the volume rule does not match. */
  settle(volume: number | null): void;
  /** It went elsewhere and does not count here. */
  withdraw(): void;
}

/** Units that were assigned within one short time, under one table. */
export class UnitSlot {
  readonly rules: UnitRules;
  /** Grows by one from slot to slot. */
  readonly sequence: number;
  /** Units assigned from then on belong to the next slot. */
  readonly untilMs: number;
  readonly tallies: Tally[] = [];
  /** When its last unit was assigned. */
  lastMs: number;
  units = 0;
  /** Requests whose outcome is not known. */
  awaited = 0;
  /** Accounts that the register's journal had got when the last one of this slot was entered. */
  journaled = 0;
  /** Added to what is reported: what comes later counts no more. */
  closed = false;
  /** Shares changed while windows of its accounts were open: none of its units counts. */
  void = false;

  constructor(rules: UnitRules, sequence: number, nowMs: number) {
    this.rules = rules;
    this.sequence = sequence;
    this.untilMs = nowMs + rules.slotMs;
    this.lastMs = nowMs;
  }

  /** Number of the release's tally, in this group, among `tallies`. */
  armOf(release: string, group: string): number {
    for (let i = 0; i < this.tallies.length; i += 1) {
      const tally = this.tallies[i];
      if (tally?.release === release && tally.group === group) return i;
    }
    return this.tallies.push(new Tally(release, group)) - 1;
  }

  /** Whether the window of its last account is open. */
  isWithinWindow(nowMs: number): boolean {
    return nowMs < this.lastMs + this.rules.windowMs;
  }

  /** All its outcomes are known, or too late; no unit may be assigned to it any longer. */
  isComplete(nowMs: number, journalWritten: number): boolean {
    if (journalWritten < this.journaled) return false;
    const { windowMs, timeoutMs } = this.rules;
    const windowOverMs = this.lastMs + windowMs;
    return nowMs > windowOverMs + timeoutMs || (this.awaited === 0 && nowMs >= windowOverMs);
  }
}
