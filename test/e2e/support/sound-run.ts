import { expect } from 'vitest';
import type { LoadSummary } from '../../../demo/load/summary.ts';
import type { UpgradeReport } from '../../../src/domain/report/report.ts';
import { readRecords } from './business-records.ts';
import { assertConserved } from './conserved-counts.ts';
import { assertDecisionDerivable, assertUniform } from './end-state.ts';
import { assertNothingLost, assertOrderlyChange } from './invariants.ts';
import type { RouteWatch } from './route-watch.ts';
import { assertSameKeySameCluster } from './same-key.ts';
import type { TestFleet } from './test-fleet.ts';

/** All of it, for a run in which nothing may be lost. */
export async function assertSound({
  fleet,
  report,
  watch,
  load,
  clients = [],
  minServing = 1,
}: {
  fleet: TestFleet;
  report: UpgradeReport;
  watch: RouteWatch;
  load: readonly LoadSummary[];
  /** Whose answers are counted besides. */
  clients?: readonly Pick<LoadSummary, 'byVersion'>[];
  minServing?: number;
}): Promise<void> {
  const records = await readRecords(fleet);
  for (const summary of load) {
    assertNothingLost(summary);
    assertSameKeySameCluster(summary, watch.samples);
  }
  assertOrderlyChange(records, watch.samples, minServing);
  await assertUniform(fleet, report, records);
  await assertConserved(fleet, [...load, ...clients], { report });
  await assertDecisionDerivable(fleet, report);
  expect(fleet.unexpectedEnds).toEqual([]);
}
