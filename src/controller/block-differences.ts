import { assertBlock, dealtOf, type ArmCounts, type Block } from '../domain/decision/block.ts';
import type { UnitCount } from '../protocol/gateway.ts';
import type { ServiceTraffic } from './traffic-totals.ts';

/** A gateway's row, with what it had counted when a block was closed. */
export interface ClosedRow extends UnitCount {
  readonly gateway: string;
  readonly epoch: string;
}

/** What blocks were closed at: a row (see {@link rowKey}) → its counts then. */
export type ClosedRows = ReadonlyMap<string, UnitCount>;

export function rowKey({ gateway, epoch, tableVersion, release, group }: ClosedRow): string {
  return JSON.stringify([gateway, epoch, tableVersion, release, group]);
}

/** What is to become blocks. */
export interface OpenDifferences {
  readonly blocks: readonly (Pick<Block, 'groups'> & Required<Pick<Block, 'tableVersion' | 'epochs'>>)[];
  /** The rows that grew, as they are now: the blocks are closed at them. */
  readonly rows: readonly ClosedRow[];
  /** Gateways whose counters cannot be (fallen sums, more outcomes than units): left until they can. */
  readonly faulty: readonly string[];
}

/**
 * What gateways counted beyond `closed`, as blocks of one table version and at most one epoch per gateway: two epochs of
 * a gateway give two blocks, and so do two table versions, the older first. No difference is negative.
 */
export function openDifferences(
  readings: ServiceTraffic,
  trial: string,
  closed: ClosedRows,
): OpenDifferences {
  const faulty = new Set<string>();
  const grown = grownRows(readings, trial, closed).filter(({ row, counts }) => {
    const possible = isPossible(counts);
    if (!possible) faulty.add(row.gateway);
    return possible;
  });
  const blocks: OpenDifferences['blocks'][number][] = [];
  const versions = [...new Set(grown.map(({ row }) => row.tableVersion))].sort((a, b) => a - b);
  for (const tableVersion of versions) {
    const rounds = byRound(grown.filter(({ row }) => row.tableVersion === tableVersion));
    for (const rows of rounds) blocks.push(blockOf(tableVersion, rows));
  }
  return { blocks, rows: grown.map(({ row }) => row), faulty: [...faulty] };
}

/** Whether something was counted in an epoch that is over: nobody will ask that gateway for it again. */
export function hasOldEpochs(readings: ServiceTraffic, trial: string, closed: ClosedRows): boolean {
  const over = Object.entries(readings).map(
    ([gateway, { epochs }]) => [gateway, { epochs: epochs.slice(0, -1), closed: [] }] as const,
  );
  return grownRows(Object.fromEntries(over), trial, closed).length > 0;
}

interface Grown {
  readonly row: ClosedRow;
  readonly counts: RowCounts;
}

type RowCounts = Required<Omit<ArmCounts, 'passed'>> & Pick<ArmCounts, 'passed'>;

/** Gateways in the order of their names and epochs, so that the same readings give the same blocks. */
function grownRows(readings: ServiceTraffic, trial: string, closed: ClosedRows): readonly Grown[] {
  return Object.keys(readings)
    .sort()
    .flatMap((gateway) =>
      (readings[gateway]?.epochs ?? []).flatMap(({ epoch, units }) =>
        units?.trial === trial ? units.counts.map((count) => ({ ...count, gateway, epoch })) : [],
      ),
    )
    .map((row) => ({ row, counts: difference(row, closed.get(rowKey(row))) }))
    .filter(({ counts }) => dealtOf(counts) > 0);
}

function difference(now: UnitCount, before: UnitCount | undefined): RowCounts {
  return {
    n: now.n - (before?.n ?? 0),
    sum: now.sum - (before?.sum ?? 0),
    squares: now.squares - (before?.squares ?? 0),
    uncapped: now.uncapped - (before?.uncapped ?? 0),
    ...(now.passed === undefined ? {} : { passed: now.passed - (before?.passed ?? 0) }),
  };
}

function isPossible(counts: ArmCounts): boolean {
  try {
    assertBlock({ fromMs: 0, toMs: 0, groups: { group: { release: counts } } });
    return true;
  } catch {
    return false;
  }
}

/** The first epoch of each gateway, the second one, and so on. */
function byRound(rows: readonly Grown[]): readonly (readonly Grown[])[] {
  const epochs = new Map<string, string[]>();
  const rounds: Grown[][] = [];
  for (const one of rows) {
    const { gateway, epoch } = one.row;
    const seen = epochs.get(gateway) ?? [];
    if (!seen.includes(epoch)) epochs.set(gateway, [...seen, epoch]);
    const round = epochs.get(gateway)?.indexOf(epoch) ?? 0;
    (rounds[round] ??= []).push(one);
  }
  return rounds;
}

function blockOf(tableVersion: number, rows: readonly Grown[]): OpenDifferences['blocks'][number] {
  const epochs: Record<string, string> = {};
  const groups: Record<string, Record<string, ArmCounts>> = {};
  for (const { row, counts } of rows) {
    epochs[row.gateway] = row.epoch;
    const arms = (groups[row.group] ??= {});
    arms[row.release] = sumOf(arms[row.release], counts);
  }
  return { tableVersion, epochs, groups };
}

function sumOf(a: ArmCounts | undefined, b: RowCounts): ArmCounts {
  if (a === undefined) return b;
  return {
    n: a.n + b.n,
    sum: a.sum + b.sum,
    squares: (a.squares ?? 0) + b.squares,
    uncapped: (a.uncapped ?? 0) + b.uncapped,
    // Of a gateway that does not know it, nobody does.
    ...(a.passed === undefined || b.passed === undefined ? {} : { passed: a.passed + b.passed }),
  };
}
