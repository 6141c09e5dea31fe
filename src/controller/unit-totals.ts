import { dealtOf } from '../domain/decision/block.ts';
import type { GatewayUnits, UnitCount } from '../protocol/gateway.ts';

/**
 * Two readings of one epoch as one. Rows only grow and are read whole, so that of two the one with more units is the
 * later: fields are not taken one by one, for an amount may fall. Another trial counts anew.
 */
export function joinUnits(
  known: GatewayUnits | undefined,
  read: GatewayUnits | undefined,
): GatewayUnits | undefined {
  // The table asks for no counting any longer: what was counted last still counts.
  if (read === undefined) return known;
  if (known?.trial !== read.trial) return read;
  const rows = new Map<string, UnitCount>();
  for (const row of [...known.counts, ...read.counts]) {
    const key = JSON.stringify([row.tableVersion, row.release, row.group]);
    const before = rows.get(key);
    rows.set(key, before === undefined || isLater(row, before) ? row : before);
  }
  return { ...read, counts: [...rows.values()], beyond: Math.max(known.beyond, read.beyond) };
}

function isLater(row: UnitCount, before: UnitCount): boolean {
  const [now, then] = [dealtOf(row), dealtOf(before)];
  return now > then || (now === then && row.sum > before.sum);
}
