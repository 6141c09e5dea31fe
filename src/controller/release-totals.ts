import { isAllotted } from '../domain/policy/allotment.ts';
import { groupOfBucket } from '../domain/policy/groups.ts';
import type { Outcomes } from '../domain/decision/guardrail-evidence.ts';
import type { TrafficCount, VolumeKind } from '../domain/measure.ts';

/** What became of a release's requests, over all gateways and servers. */
export interface ReleaseTotals {
  /** Given to its servers, those under way included. */
  readonly assigned: number;
  /** Of what has ended. `errors`: 5xx, and requests that the server did not answer. */
  readonly ended: Outcomes;
  /** The same of what came by the policy alone: the baseline's other customers are other people. */
  readonly allotted: AllottedTotals;
  /** And of each group of customers that the policy deals at random; what came of no known group is in none. */
  readonly byGroup: Readonly<Record<string, AllottedTotals>>;
}

export interface AllottedTotals {
  readonly assigned: number;
  readonly finished: number;
  readonly errors: number;
  /** Requests that count as allocated traffic, counted as they come, and what came of them. */
  readonly units: number;
  readonly volume: number;
}

export const NO_ALLOTTED: AllottedTotals = { assigned: 0, finished: 0, errors: 0, units: 0, volume: 0 };
export const NO_TOTALS: ReleaseTotals = {
  assigned: 0,
  ended: { finished: 0, errors: 0, slow: 0 },
  allotted: NO_ALLOTTED,
  byGroup: {},
};

interface Reading {
  readonly volume: VolumeKind;
  /**
   * Requests in flight per release at gateways that count a request when it is answered (HAProxy); others have them among
   * their requests. Of which group they are nobody knows: each may have all of them, which is against blame.
   */
  readonly underWay: Readonly<Record<string, number>>;
  /** Groups that the policy deals at random. */
  readonly groups: ReadonlySet<string>;
}

/** Totals by release. */
export function totalsByRelease(
  counts: readonly TrafficCount[],
  reading: Reading,
): Readonly<Record<string, ReleaseTotals>> {
  const totals: Record<string, ReleaseTotals> = {};
  for (const row of counts) totals[row.release] = withRow(totals[row.release] ?? NO_TOTALS, row, reading);
  for (const [release, more] of Object.entries(reading.underWay)) {
    const known = totals[release] ?? NO_TOTALS;
    const begun = (of: AllottedTotals): AllottedTotals => ({ ...of, assigned: of.assigned + more });
    totals[release] = {
      ...known,
      assigned: known.assigned + more,
      allotted: begun(known.allotted),
      byGroup: Object.fromEntries(Object.entries(known.byGroup).map(([name, of]) => [name, begun(of)])),
    };
  }
  return totals;
}

function withRow(
  { assigned, ended, allotted, byGroup }: ReleaseTotals,
  row: TrafficCount,
  { volume, groups }: Reading,
): ReleaseTotals {
  const finished = row.succeeded + row.clientErrors + row.serverErrors + row.failed + row.aborted;
  const errors = row.serverErrors + row.failed;
  // Rows are read while requests end: what has ended has been assigned.
  const requests = Math.max(row.requests, finished);
  const withThis = (of: AllottedTotals): AllottedTotals => ({
    assigned: of.assigned + requests,
    finished: of.finished + finished,
    errors: of.errors + errors,
    units: of.units + row.allocated,
    volume: of.volume + (volume === 'amount' ? row.volumeAmount : row.volumeCount),
  });
  const group = groupOfBucket(row.bucket, groups);
  return {
    assigned: assigned + requests,
    ended: {
      finished: ended.finished + finished,
      errors: ended.errors + errors,
      slow: ended.slow + row.slow,
    },
    allotted: isAllotted(row.bucket) ? withThis(allotted) : allotted,
    byGroup: group === undefined ? byGroup : { ...byGroup, [group]: withThis(byGroup[group] ?? NO_ALLOTTED) },
  };
}

/**
 * What happened since `before`, of requests assigned since: those under way count as not failed. With every request that
 * turns out a failure later the evidence only grows, so that at any time it is at most what the outcomes of all requests
 * assigned so far will show, which is the e-process that passes 1/α with probability ≤ α; slow successes harm nobody.
 */
export function assignedSince(before: Outcomes, { assigned, ended }: ReleaseTotals): Outcomes {
  // What was under way before is contained: a failure among it is counted, so it has to be as well.
  return { ...endedSince(before, ended), finished: Math.max(0, assigned - before.finished) };
}

export function endedSince(before: Outcomes, ended: Outcomes): Outcomes {
  return {
    finished: Math.max(0, ended.finished - before.finished),
    errors: Math.max(0, ended.errors - before.errors),
    slow: Math.max(0, ended.slow - before.slow),
  };
}
