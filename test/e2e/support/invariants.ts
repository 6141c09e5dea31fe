import { expect } from 'vitest';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import type { LoadSummary } from '../../../demo/load/summary.ts';
import { until } from '../../../demo/fleet/until.ts';
import { recordedSignals, recordedVerdicts } from '../../../src/cli/recorded-decisions.ts';
import { compileSplit } from '../../../src/domain/policy/route-key.ts';
import type { UpgradeReport } from '../../../src/domain/report/report.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import type { TrafficAnswer } from '../../../src/protocol/controller.ts';
import { readRecords, type BusinessRecord, type BusinessRecords } from './business-records.ts';
import { executedBy, type RouteSample, type RouteWatch } from './route-watch.ts';
import type { TestFleet } from './test-fleet.ts';

/** The invariants of DESIGN.md, checked from what clients, gateways, servers and the history recorded. */

/** No request was lost and no transaction cut. */
export function assertNothingLost(summary: LoadSummary): void {
  const { lost, losses, cuts, underWay, sent, answered } = summary;
  expect({ lost, losses, cut: summary.transactions.cut, cuts, underWay }).toEqual({
    lost: 0,
    losses: [],
    cut: 0,
    cuts: [],
    underWay: 0,
  });
  expect(answered, 'the load really ran').toBe(sent);
  expect(sent).toBeGreaterThan(100);
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
  for (const [gateway, own] of byGateway(samples)) {
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

/** Time that a request may take from the client's clock to the gateway's decision, at most, on a busy machine. */
const ON_THE_WAY_MS = 400;

/**
 * Invariant 7: while all gateways executed the same table, every account that changed sides went where the policy of
 * that table sends it, whichever gateway it came through. Answers how many moves were judged.
 */
export function assertSameKeySameCluster(summary: LoadSummary, samples: readonly RouteSample[]): number {
  const strayed: string[] = [];
  let judged = 0;
  for (const { table, from, to } of steadyTimes(samples)) {
    const { split } = table;
    const release = split === null ? () => table.mainRelease : releaseByPolicy(split);
    for (const move of summary.moves.filter(({ at }) => at > from && at < to - ON_THE_WAY_MS)) {
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
  const gateways = [...byGateway(samples).values()];
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

function byGateway(samples: readonly RouteSample[]): Map<string, RouteSample[]> {
  const groups = new Map<string, RouteSample[]>();
  for (const sample of samples) {
    groups.set(sample.gateway, [...(groups.get(sample.gateway) ?? []), sample]);
  }
  return groups;
}

/** Invariant 6: agents, routes, gateways, server processes and the report agree on the one version that all run. */
export async function assertUniform(
  fleet: Fleet,
  report: UpgradeReport,
  records: BusinessRecords,
): Promise<void> {
  const release = report.outcome === 'promoted' ? report.winner : report.baseline;
  const everywhere = Object.fromEntries(fleet.servers.map(({ name }) => [name, release]));
  const agents = await Promise.all(
    fleet.servers.map(async (server) => [server.name, (await server.status()).runningVersion] as const),
  );
  expect(Object.fromEntries(agents), 'what the agents say (invariant 6)').toEqual(everywhere);
  const processes = [...records].map(([name, lines]) => [name, lines.at(-1)?.version] as const);
  expect(Object.fromEntries(processes), 'what the processes say').toEqual(everywhere);
  expect(Object.fromEntries(report.servers.map((one) => [one.name, one.release])), 'the report').toEqual(
    everywhere,
  );
  const { active, lock, gateways } = await fleet.registry.status(fleet.service);
  expect({ main: active.mainRelease, split: active.split, lock }).toEqual({
    main: release,
    split: null,
    lock: null,
  });
  expect(Object.fromEntries(active.servers.map((one) => [one.name, one.release]))).toEqual(everywhere);
  expect(new Set(active.servers.map(({ ingress }) => ingress))).toEqual(new Set(['open']));
  expect(new Set(gateways.map(({ acknowledged }) => acknowledged))).toEqual(new Set([active.version]));
  for (const { name, adminUrl } of fleet.gateways) {
    expect(await executedBy(adminUrl), `what ${name} executes`).toEqual(active);
  }
}

const COUNT_TIMEOUT_MS = 5_000;

/**
 * Counts are conserved: what clients were answered by each version is what the gateways counted, and the arms that were
 * decided on are part of it. `uncounted` requests per version may be missing at the gateways, where one was killed.
 * `brokenOff` answers may be more than clients have: HAProxy counts at an answer's head, and a kill cuts off the rest.
 */
export async function assertConserved(
  fleet: Fleet,
  summaries: readonly Pick<LoadSummary, 'byVersion'>[],
  {
    uncounted = 0,
    brokenOff = 0,
    report,
  }: { uncounted?: number; brokenOff?: number; report?: UpgradeReport } = {},
): Promise<void> {
  const clients = sumByVersion(summaries);
  const isCounted = async (): Promise<boolean> => {
    const gateways = countedByVersion(await fleet.registry.traffic(fleet.service));
    for (const [version, seen] of Object.entries(clients)) {
      const { answers = 0, visits = 0, bought = 0 } = gateways[version] ?? {};
      const missing = [seen.answers - answers, seen.visits - visits, seen.bought - bought];
      if (missing.some((count) => count < -brokenOff || count > uncounted)) {
        throw new Error(
          `${version}: clients ${JSON.stringify(seen)}, gateways ${JSON.stringify(gateways[version])}`,
        );
      }
    }
    return true;
  };
  // A gateway counts an exchange when its last byte is out, a moment after the client has it.
  await until('clients and gateways count the same', isCounted, { timeoutMs: COUNT_TIMEOUT_MS });
  for (const arm of report?.decision.efficacy.arms ?? []) {
    expect(arm.allocated, `arm ${arm.version}`).toBeLessThanOrEqual(clients[arm.version]?.visits ?? 0);
    expect(arm.volume, `arm ${arm.version}`).toBeLessThanOrEqual(clients[arm.version]?.bought ?? 0);
  }
}

interface Counted {
  answers: number;
  visits: number;
  bought: number;
}

function sumByVersion(summaries: readonly Pick<LoadSummary, 'byVersion'>[]): Record<string, Counted> {
  const sums: Record<string, Counted> = {};
  for (const [version, { answers, visits, bought }] of summaries.flatMap((one) =>
    Object.entries(one.byVersion),
  )) {
    const sum = (sums[version] ??= { answers: 0, visits: 0, bought: 0 });
    sum.answers += answers;
    sum.visits += visits;
    sum.bought += bought;
  }
  return sums;
}

function countedByVersion({ counts }: TrafficAnswer): Record<string, Counted> {
  const sums: Record<string, Counted> = {};
  for (const row of counts) {
    const sum = (sums[row.release] ??= { answers: 0, visits: 0, bought: 0 });
    sum.answers += row.succeeded + row.clientErrors + row.serverErrors;
    sum.visits += row.allocated;
    sum.bought += row.volumeCount;
  }
  return sums;
}

/** Invariant 8: every verdict in the history follows from the numbers beside it, and it says who approved what. */
export async function assertDecisionDerivable(fleet: Fleet, report: UpgradeReport): Promise<void> {
  const history = await fleet.handle.fetchHistory();
  const verdicts = recordedVerdicts(history);
  expect(verdicts.filter(({ agrees }) => !agrees)).toEqual([]);
  const { verdict, approval } = report.decision;
  if (verdict !== null) expect(verdicts.map(({ recorded }) => recorded)).toContainEqual(verdict);
  if (approval === null) return;
  const approvals = recordedSignals(history).filter(({ signal }) => signal === 'approve');
  expect(approvals.map(({ payload }) => payload)).toContainEqual(
    expect.objectContaining({ by: approval.by }),
  );
}

/** All of it, for a run in which nothing may be lost. */
export async function assertSound({
  fleet,
  report,
  watch,
  load,
  minServing = 1,
}: {
  fleet: TestFleet;
  report: UpgradeReport;
  watch: RouteWatch;
  load: readonly LoadSummary[];
  minServing?: number;
}): Promise<void> {
  const records = await readRecords(fleet);
  for (const summary of load) {
    assertNothingLost(summary);
    assertSameKeySameCluster(summary, watch.samples);
  }
  assertDrainedBeforeChange(records);
  assertOneVersionAtATime(records);
  assertSealedWhileChanged(records, watch.samples);
  assertAlwaysServing(watch.samples, minServing);
  assertVersionsGrow(watch.samples);
  await assertUniform(fleet, report, records);
  await assertConserved(fleet, load, { report });
  await assertDecisionDerivable(fleet, report);
  expect(fleet.unexpectedEnds).toEqual([]);
}
