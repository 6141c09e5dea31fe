import { z } from 'zod';
import { AMOUNT_DECIMALS } from '../domain/amount.ts';
import { EVERYONE } from '../domain/decision/block.ts';
import type { MeasureRules } from '../domain/measure.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import { type GatewayUnits, type UnitCount, unitCountSchema } from '../protocol/gateway.ts';
import { AMOUNT_BITS, UNIT_DIGITS, UNIT_KEPT_MS, UNIT_SLOT_MS } from './layout.ts';
import type { TableRow } from './runtime-answers.ts';
import { compileGroups } from './unit-groups.ts';

/** HAProxy's threads read the clock once in a round of work: until then a moment may still be written, in milliseconds. */
const LATE_MS = 500;

export const unitStateSchema = z.strictObject({
  trial: z.string(),
  /** First table version that belongs to the trial. */
  since: z.int().nonnegative(),
  counts: z.array(unitCountSchema),
  /** HAProxy process whose moments are closed up to and with `closed`. */
  process: z.string(),
  closed: z.int(),
});
type State = z.infer<typeof unitStateSchema>;

interface Unit {
  readonly row: TableRow;
  readonly moment: number;
  readonly version: number;
  readonly release: string;
  /** First number of the group, where the policy deals groups at random. */
  readonly group: number | undefined;
}

/**
 * Units of the trial whose outcomes are all known or timed out. HAProxy counts them by moments of their assignment, and
 * each moment enters once and as a whole, in the order of time, when no request of it is under way any more: slow
 * successes are then never missing beside quick failures. What a process that was replaced had not settled is left out by
 * whole moments, for all versions alike, since HAProxy forgets its tables then.
 */
export class UnitLedger {
  #state: State | null = null;
  #pending = 0;
  #settled: readonly string[] = [];

  get state(): State | null {
    return this.#state;
  }

  restore(state: State | null): void {
    this.#state = state;
  }

  /** What entered, or never will: keys of the table that need not be there once `state` is on disk. */
  get settled(): readonly string[] {
    return this.#settled;
  }

  /**
   * @param nowMs - the wall clock before the rows were asked for; the companion's is HAProxy's, they share a machine.
   * @param table - the table that was in effect all the while.
   */
  read(
    process: string,
    rows: readonly TableRow[],
    { table, nowMs }: { table: RouteTable; nowMs: number },
  ): void {
    const counting = table.split?.counting;
    const units = rows.flatMap((row) => unitOf(row));
    if (table.split === null || counting === undefined) {
      this.#settled = units.map(({ row }) => row.key);
      this.#pending = 0;
      return;
    }
    const before = this.#state;
    const goesOn = before !== null && before.trial === table.split.salt;
    const state: State = {
      trial: table.split.salt,
      since: goesOn ? before.since : table.version,
      counts: goesOn ? before.counts.map((count) => ({ ...count })) : [],
      process,
      closed: before?.process === process ? before.closed : -1,
    };
    // A clock that was put back: what comes now is not what was closed.
    state.closed = Math.min(state.closed, Math.floor(nowMs / UNIT_SLOT_MS));
    const open = units.filter(({ moment }) => moment > state.closed);
    const leftOut = counting.control ? null : table.split.baseline;
    const groupOf = compileGroups(table.split.policy);
    const counts = (unit: Unit): boolean =>
      unit.version >= state.since && unit.release !== leftOut && groupOf(unit.group) !== undefined;

    for (const moment of [...new Set(open.map((unit) => unit.moment))].sort((a, b) => a - b)) {
      const those = open.filter((unit) => unit.moment === moment);
      const overForMs = nowMs - (moment + 1) * UNIT_SLOT_MS - LATE_MS;
      const isOver = overForMs >= 0 && those.every(({ row }) => row.uses === 0);
      if (!isOver && overForMs <= counting.timeoutMs) break;
      state.closed = moment;
      // Some of its entries may be gone already.
      if (nowMs >= moment * UNIT_SLOT_MS + UNIT_KEPT_MS - LATE_MS) continue;
      for (const unit of those.filter(counts)) {
        const key = {
          tableVersion: unit.version,
          release: unit.release,
          group: groupOf(unit.group) ?? EVERYONE,
        };
        addTo(state.counts, key, {
          n: assigned(unit.row),
          ...outcomesOf(unit.row, table.measure, counting.cap),
        });
      }
    }
    this.#state = state;
    this.#settled = units.filter(({ moment }) => moment <= state.closed).map(({ row }) => row.key);
    this.#pending = open
      .filter((unit) => unit.moment > state.closed && counts(unit))
      .reduce((sum, { row }) => sum + assigned(row), 0);
  }

  /** Undefined where the table asks for no counting by unit. */
  report(table: RouteTable | null): GatewayUnits | undefined {
    if (table?.split?.counting === undefined) return undefined;
    const { trial = table.split.salt, counts = [] } = this.#state ?? {};
    return { trial, counts, pending: this.#pending, beyond: 0 };
  }
}

/** `moment:table version:release`, and `:group` where groups are dealt. */
function unitOf(row: TableRow): Unit[] {
  const match = /^(\d+):(\d+):([^:]+)(?::(\d+))?$/.exec(row.key);
  if (match === null) return [];
  const [, moment, version, release = '', group] = match;
  return [
    {
      row,
      moment: Number(moment),
      version: Number(version),
      release: decodeURIComponent(release),
      group: group === undefined ? undefined : Number(group),
    },
  ];
}

function assigned({ fields }: TableRow): number {
  return fields.get('http_req_cnt') ?? 0;
}

type Outcomes = Pick<UnitCount, 'sum' | 'squares' | 'uncapped'>;

function outcomesOf({ fields }: TableRow, { volume }: MeasureRules, cap: number | undefined): Outcomes {
  const successes = fields.get(`gpc${UNIT_DIGITS.successes}`) ?? 0;
  const digits = (from: number, count: number): bigint => {
    let sum = 0n;
    for (let bit = 0; bit < count; bit += 1)
      sum += BigInt(fields.get(`gpc${from + bit}`) ?? 0) << BigInt(bit);
    return sum;
  };
  if (volume.kind !== 'amount') {
    const each = volume.kind === 'successes' || cap === undefined ? 1 : Math.min(1 / cap, 1);
    return { sum: successes * each, squares: successes * each * each, uncapped: successes };
  }
  const { amounts, parts, squares, uncapped, partBits } = UNIT_DIGITS;
  const moved = BigInt(fields.get(`gpc${amounts}`) ?? 0) << BigInt(AMOUNT_BITS - 1);
  const plain = Number(digits(uncapped, AMOUNT_BITS) - moved) / 10 ** AMOUNT_DECIMALS;
  if (cap === undefined) return { sum: successes, squares: successes, uncapped: plain };
  return {
    sum: Number(digits(parts, partBits + 1)) / 2 ** partBits,
    squares: Number(digits(squares, 2 * partBits + 1)) / 2 ** (2 * partBits),
    uncapped: plain,
  };
}

function addTo(
  counts: UnitCount[],
  key: Pick<UnitCount, 'tableVersion' | 'release' | 'group'>,
  outcomes: Outcomes & Pick<UnitCount, 'n'>,
): void {
  const { tableVersion, release, group } = key;
  let count = counts.find(
    (each) => each.tableVersion === tableVersion && each.release === release && each.group === group,
  );
  if (count === undefined) counts.push((count = { ...key, n: 0, sum: 0, squares: 0, uncapped: 0 }));
  count.n += outcomes.n;
  count.sum += outcomes.sum;
  count.squares += outcomes.squares;
  count.uncapped += outcomes.uncapped;
}
