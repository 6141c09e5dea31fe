import { expect } from 'vitest';
import type { LoadSummary } from '../../../demo/load/summary.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import type { BusinessRecord, BusinessRecords } from './business-records.ts';
import { samplesByGateway, type RouteSample } from './route-watch.ts';

/** The invariants of DESIGN.md that hold at every moment, checked from what clients, gateways and servers recorded. */

/** No request was lost and no transaction cut. */
export function assertNothingLost(summary: LoadSummary, { moreThan = 100 } = {}): void {
  const { lost, losses, cuts, underWay, sent, answered } = summary;
  expect({ lost, losses, cut: summary.transactions.cut, cuts, underWay }).toEqual({
    lost: 0,
    losses: [],
    cut: 0,
    cuts: [],
    underWay: 0,
  });
  expect(answered, 'the load really ran').toBe(sent);
  expect(sent).toBeGreaterThan(moreThan);
}

/** Invariant 2, as the servers saw it: stopped with nothing in flight and no transaction open. */
export function assertDrainedBeforeChange(records: BusinessRecords): void {
  const busy = [...records.values()]
    .flat()
    .filter(
      ({ event, inFlight, openTransactions }) => event === 'stop' && (inFlight > 0 || openTransactions > 0),
    );
  expect(busy, 'servers that were stopped with business in flight (invariant 2)').toEqual([]);
}

/** A server ran one complete version at any instant: one process after the other. One may be stopped before it began. */
export function assertOneVersionAtATime(records: BusinessRecords): void {
  for (const [server, lines] of records) {
    const story = lines.map(({ event, pid }) => `${event} ${pid}`);
    const begun = new Set(lines.filter(({ event }) => event === 'start').map(({ pid }) => pid));
    const orderly = [...new Set(lines.map(({ pid }) => pid))].flatMap((pid) => [
      ...(begun.has(pid) ? [`start ${pid}`] : []),
      `stop ${pid}`,
      `exit ${pid}`,
    ]);
    expect(story, `processes of ${server}, one after the other`).toEqual(orderly.slice(0, story.length));
    expect(lines.at(-1)?.event, `${server} runs`).toBe('start');
  }
}

/** Invariants 1 and 2, as the gateways saw it: while a server was changed, none of them would have sent it anything. */
export function assertSealedWhileChanged(records: BusinessRecords, samples: readonly RouteSample[]): void {
  for (const [server, lines] of records) {
    for (const { from, to } of changesIn(lines)) {
      const during = samples.filter((sample) => sample.from >= from && sample.to <= to);
      const sending = during.filter(({ table }) => {
        const ingress = table.servers.find(({ name }) => name === server)?.ingress;
        return ingress === 'open' || ingress === 'draining';
      });
      expect(
        sending.map(({ gateway, table }) => `${gateway} with routes ${table.version}`),
        `gateways that routed to ${server} while it was changed (invariants 1 and 2)`,
      ).toEqual([]);
    }
  }
}

function changesIn(lines: readonly BusinessRecord[]): { from: number; to: number }[] {
  return lines.flatMap(({ event, at }, index) => {
    const next = lines[index + 1];
    return event !== 'start' && next?.event !== undefined ? [{ from: at, to: next.at }] : [];
  });
}

/** Invariant 3: at every look of every gateway enough servers were open for whatever the routes say. */
export function assertAlwaysServing(samples: readonly RouteSample[], minServing: number): void {
  for (const { gateway, table } of samples) {
    for (const release of new Set([table.mainRelease, table.split?.baseline ?? table.mainRelease])) {
      const open = table.servers.filter((server) => server.release === release && server.ingress === 'open');
      expect(
        open.length,
        `open servers of ${release} by routes ${table.version} at ${gateway} (invariant 3)`,
      ).toBeGreaterThanOrEqual(minServing);
    }
  }
}

/** Invariant 4: no gateway ever went back to an older table, not even over its restarts. */
export function assertVersionsGrow(samples: readonly RouteSample[]): void {
  for (const [gateway, own] of samplesByGateway(samples)) {
    const versions = own.map(({ table }) => table.version);
    expect(versions, `versions of the routes that ${gateway} executed (invariant 4)`).toEqual(
      versions.toSorted((a, b) => a - b),
    );
    const tables = new Map<number, RouteTable>();
    for (const { table } of own) {
      expect(tables.get(table.version) ?? table, `routes ${table.version} are one table`).toEqual(table);
      tables.set(table.version, table);
    }
  }
}

/** Invariants 1 to 4 of servers that were changed under traffic, by what servers and gateways recorded. */
export function assertOrderlyChange(
  records: BusinessRecords,
  samples: readonly RouteSample[],
  minServing = 1,
): void {
  assertDrainedBeforeChange(records);
  assertOneVersionAtATime(records);
  assertSealedWhileChanged(records, samples);
  assertAlwaysServing(samples, minServing);
  assertVersionsGrow(samples);
}
