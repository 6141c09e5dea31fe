import { expect } from 'vitest';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import { until } from '../../../demo/fleet/until.ts';
import type { LoadSummary } from '../../../demo/load/summary.ts';
import type { UpgradeReport } from '../../../src/domain/report/report.ts';
import type { TrafficAnswer } from '../../../src/protocol/controller.ts';

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
