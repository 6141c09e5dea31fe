import { expect } from 'vitest';
import type { LoadSummary } from '../../../demo/load/summary.ts';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import { samplesByGateway, type RouteSample } from './route-watch.ts';

/**
 * Invariant 7: while all gateways executed the same table, every account that changed sides went where the policy of
 * that table sends it, whichever gateway it came through. Answers how many moves were judged: those of requests that were
 * sent and answered while it was executed, since a gateway decides somewhere between (after a reload, HAProxy lets a request
 * of an unknown transaction wait, which may be for longer than until the next table).
 */
export function assertSameKeySameCluster(summary: LoadSummary, samples: readonly RouteSample[]): number {
  const strayed: string[] = [];
  let judged = 0;
  for (const { table, from, to } of steadyTimes(samples)) {
    const { split } = table;
    const release = split === null ? () => table.mainRelease : releaseByPolicy(split);
    for (const move of summary.moves.filter(({ at, until }) => at > from && until < to)) {
      judged += 1;
      const expected = release(move.account);
      if (move.to !== expected) {
        strayed.push(`${move.account} to ${move.to}, not ${expected}, by routes ${table.version}`);
      }
    }
  }
  expect(strayed, 'accounts that did not go where the policy sends them (invariant 7)').toEqual([]);
  return judged;
}

function releaseByPolicy(split: NonNullable<RouteTable['split']>): (account: string) => string {
  const decide = compileSplit(split);
  return (account) => decide(account).release;
}

/** Times in which all gateways are known to have executed the same table. */
function steadyTimes(samples: readonly RouteSample[]): { table: RouteTable; from: number; to: number }[] {
  const gateways = [...samplesByGateway(samples).values()];
  const versions = [...new Set(samples.map(({ table }) => table.version))];
  return versions.flatMap((version) => {
    const looks = gateways.map((own) => own.filter(({ table }) => table.version === version));
    const table = looks[0]?.[0]?.table;
    if (table === undefined || looks.some((own) => own.length === 0)) return [];
    const from = Math.max(...looks.map((own) => own[0]?.to ?? 0));
    const to = Math.min(...looks.map((own) => own.at(-1)?.from ?? 0));
    return from < to ? [{ table, from, to }] : [];
  });
}
