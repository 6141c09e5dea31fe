import { expect } from 'vitest';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import { recordedSignals, recordedVerdicts } from '../../../src/cli/recorded-decisions.ts';
import type { UpgradeReport } from '../../../src/domain/report/report.ts';
import type { BusinessRecords } from './business-records.ts';
import { executedBy } from './route-watch.ts';

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

/** Invariant 8: every verdict in the history follows from the numbers beside it, and it says who approved what. */
export async function assertDecisionDerivable(fleet: Fleet, report: UpgradeReport): Promise<void> {
  const history = await fleet.handle.fetchHistory();
  const verdicts = recordedVerdicts(history);
  expect(
    verdicts.filter(({ rules, agrees, differs }) => rules !== 'same' || !agrees || differs.length > 0),
  ).toEqual([]);
  const { verdict, approval } = report.decision;
  if (verdict !== null) expect(verdicts.map(({ recorded }) => recorded)).toContainEqual(verdict);
  if (approval === null) return;
  const approvals = recordedSignals(history).filter(({ signal }) => signal === 'approve');
  expect(approvals.map(({ payload }) => payload)).toContainEqual(
    expect.objectContaining({ by: approval.by }),
  );
}
