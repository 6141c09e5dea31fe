import xxhash from 'xxhash-wasm';
import { z } from 'zod';
import { accountPartOf, type AccountPart } from '../domain/routes/account-part.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../domain/routes/table.ts';
import { type AccountRegister, PAST, UNKNOWN } from '../gateway/account-register.ts';
import { isInPart } from '../gateway/account-units.ts';
import { allotmentOf } from '../gateway/unit-slot.ts';
import { type GatewayUnits, type UnitCount, unitCountSchema } from '../protocol/gateway.ts';
import { countOf, outcomeOf, type Window, windowsOf } from './account-row.ts';
import { ACCOUNT_COUNTS, ACCOUNT_KEPT_MS, encoded } from './layout.ts';
import type { TableRow } from './runtime-answers.ts';
import { compileGroups } from './unit-groups.ts';

const hasher = await xxhash();

/** HAProxy's threads read the clock once in a round of work: until then an account may still enter, in milliseconds. */
const LATE_MS = 500;

/** Of changes before these no window is open any more. */
const CHANGES_KEPT = 100;

export const accountStateSchema = z.strictObject({
  trial: z.string(),
  /** First table version that belongs to the trial. */
  since: z.int().nonnegative(),
  counts: z.array(unitCountSchema),
  /** Releases that tables of the trial named: HAProxy keeps hashes of them. */
  releases: z.array(z.string()),
  /** How the policy allots accounts, and when that changed so far: from which table version, and not before which time. */
  allotment: z.string().default(''),
  changes: z.array(z.strictObject({ version: z.int(), fromMs: z.number() })).default([]),
  /** Requests of accounts for which there was no room, and what the process said last that counts them. */
  beyond: z.int().nonnegative(),
  full: z.strictObject({ process: z.string(), seen: z.int().nonnegative() }),
});
type State = z.infer<typeof accountStateSchema>;

export interface AccountReading {
  /** The table that was in effect all the while, and the wall clock before the rows were asked for. */
  readonly table: RouteTable;
  readonly nowMs: number;
  /** The HAProxy process, and when it started, in seconds since 1970. */
  readonly process: string;
  readonly startedSecond: number;
  readonly rows: readonly TableRow[];
  /** Entries of HAProxy's table, those that were not asked for included. */
  readonly used: number;
  /** What the process counted for which it had no room. */
  readonly full: number;
}

/**
 * Accounts of the trial whose windows are over. HAProxy keeps each account within its window; this ledger keeps for ever
 * which accounts entered, so that each enters once, by its first window, whatever becomes of HAProxy. Accounts of one
 * second enter together, second by second, when no request of theirs is under way any more: slow successes are then never
 * missing beside quick failures.
 */
export class AccountLedger {
  readonly #register: AccountRegister;
  readonly #part: AccountPart;
  readonly #gateway: string;
  #state: State | null = null;
  #pending = 0;
  /** When the table in effect was looked at last, by the wall clock; after a restart nobody knows. */
  #seenMs = 0;
  #settled: readonly string[] = [];

  /** `gateway`: by which a table may know this one; `part` holds where it divides the accounts not by itself. */
  constructor({
    register,
    part,
    gateway = '',
  }: {
    register: AccountRegister;
    part: AccountPart;
    gateway?: string;
  }) {
    this.#register = register;
    this.#part = part;
    this.#gateway = gateway;
  }

  get state(): State | null {
    return this.#state;
  }

  restore(state: State | null): void {
    this.#state = state;
  }

  /** Keys of HAProxy's table that need not be there once the register and `state` are on disk. */
  get settled(): readonly string[] {
    return this.#settled;
  }

  forgotten(): void {
    this.#settled = [];
  }

  /** Seconds up to which windows can be over, those of the given one included. */
  static dueSecond({ windowMs }: TrialCounting, nowMs: number): number {
    return Math.floor((nowMs - windowMs - LATE_MS) / 1_000) - 1;
  }

  /** Notes how accounts are allotted by the table that is in effect, before anything else is. */
  see(table: RouteTable, nowMs: number): void {
    if (table.split?.counting === undefined) return;
    this.#state = this.#next(table, table.split);
    this.#seenMs = nowMs;
  }

  /** `rows` are those up to `dueSecond`. */
  read({ table, nowMs, process, startedSecond, rows, used, full }: AccountReading): void {
    const counting = table.split?.counting;
    if (table.split === null || counting === undefined) return;
    const next = this.#next(table, table.split);
    const state = { ...next, counts: next.counts.map((count) => ({ ...count })) };
    state.beyond += state.full.process === process ? Math.max(0, full - state.full.seen) : full;
    state.full = { process, seen: full };
    const releases = new Map(state.releases.map((release) => [hasher.h32(encoded(release)), release]));
    const groupOf = compileGroups(table.split.policy);
    const part = accountPartOf(counting, this.#gateway, this.#part);
    const settled: string[] = [];
    const bySecond = new Map<number, Window[]>();
    for (const window of windowsOf(rows, releases)) {
      const those = bySecond.get(window.second);
      if (those === undefined) bySecond.set(window.second, [window]);
      else those.push(window);
    }
    for (const [second, those] of [...bySecond].sort(([a], [b]) => a - b)) {
      const overForMs = nowMs - (second + 1) * 1_000 - counting.windowMs - LATE_MS;
      if (overForMs < 0) break;
      if (overForMs <= counting.timeoutMs && those.some(({ row }) => row.uses > 0)) break;
      settled.push(...those.map(({ row }) => row.key));
      // Some of that time may be gone already.
      if (nowMs >= second * 1_000 + ACCOUNT_KEPT_MS) continue;
      for (const window of those)
        this.#enter(window, { state, counting, table, startedSecond, part, groupOf });
    }
    this.#settled = settled;
    // Of whose part those are that are within their windows only HAProxy knows: accounts fall to all parts alike.
    this.#pending = part === undefined ? 0 : Math.ceil(Math.max(0, used - settled.length) / part.of);
    this.#state = state;
  }

  /** Undefined where the table asks for no counting by unit. */
  report(table: RouteTable | null): GatewayUnits | undefined {
    if (table?.split?.counting === undefined) return undefined;
    const { trial = table.split.salt, counts = [], beyond = 0 } = this.#state ?? {};
    return { trial, counts, pending: this.#pending, beyond };
  }

  #next(table: RouteTable, split: TrafficSplit): State {
    const trial = split.salt;
    const before = this.#state?.trial === trial ? this.#state : null;
    if (this.#register.trial !== trial) this.#register.begin(trial);
    const releases = [table.mainRelease, ...table.servers.map(({ release }) => release)];
    const allotment = allotmentOf(split);
    const changes = before?.changes ?? [];
    const isMoved = before !== null && before.allotment !== '' && before.allotment !== allotment;
    return {
      trial,
      since: before?.since ?? table.version,
      counts: before?.counts ?? [],
      releases: [...new Set([...(before?.releases ?? []), ...releases])],
      allotment,
      changes: isMoved
        ? [...changes, { version: table.version, fromMs: this.#seenMs }].slice(-CHANGES_KEPT)
        : changes,
      beyond: before?.beyond ?? 0,
      full: this.#state?.full ?? { process: '', seen: 0 },
    };
  }

  #enter(
    { row, second, version, release, slot, group: first, isTurnedAway }: Window,
    {
      state,
      counting,
      table,
      startedSecond,
      part,
      groupOf,
    }: {
      state: State;
      counting: TrialCounting;
      table: RouteTable;
      startedSecond: number;
      part: AccountPart | undefined;
      groupOf: ReturnType<typeof compileGroups>;
    },
  ): void {
    if (version < state.since || (release === undefined && !isTurnedAway)) return;
    if (part === undefined || (part.of !== 1 && !isInPart(slot, part))) return;
    const group = groupOf(first);
    if (group === undefined) return;
    if (this.#register.get(row.key) !== UNKNOWN) return;
    const { started, allocated, answered } = ACCOUNT_COUNTS;
    const requests = countOf(row, started);
    if (this.#register.isFull) {
      if (!isTurnedAway) state.beyond += requests;
      return;
    }
    this.#register.set(row.key, PAST);
    if (release === undefined || isMixture({ second, version }, state.changes, counting)) return;
    if (isTurnedAway) {
      const count = countIn(state, { tableVersion: version, release, group });
      // A count that an earlier companion began does not tell those who were turned away before: nobody knows them all.
      if (count.passed !== undefined) count.passed += 1;
      return;
    }
    // Of what was under way at a reload, nobody knows how it ended.
    if (second <= startedSecond && requests !== countOf(row, answered)) return;
    if (countOf(row, allocated) === 0) return;
    const outcome = outcomeOf(row, table.measure.volume.kind, counting.cap);
    const count = countIn(state, { tableVersion: version, release, group });
    count.n += 1;
    count.sum += outcome.value;
    count.squares += outcome.value * outcome.value;
    count.uncapped += outcome.uncapped;
  }
}

/** What is reported of a release and group, begun where nothing was. */
function countIn(
  { counts }: State,
  { tableVersion, release, group }: Pick<UnitCount, 'tableVersion' | 'release' | 'group'>,
): UnitCount {
  let count = counts.find(
    (each) => each.tableVersion === tableVersion && each.release === release && each.group === group,
  );
  if (count === undefined) {
    count = { tableVersion, release, group, n: 0, sum: 0, squares: 0, uncapped: 0, passed: 0 };
    counts.push(count);
  }
  return count;
}

/**
 * A window that was open when policy or share changed may hold what another version did: all that were are left out,
 * whatever version they met first, as at the embedded gateway.
 */
function isMixture(
  { second, version }: Pick<Window, 'second' | 'version'>,
  changes: State['changes'],
  { windowMs }: TrialCounting,
): boolean {
  const untilMs = (second + 1) * 1_000 + windowMs;
  return changes.some((change) => version < change.version && untilMs > change.fromMs);
}
