import { createFleet } from '../../demo/fleet/fleet.ts';
import { STATIC_HOME } from '../../demo/packages.ts';
import { spawnLoad } from '../../demo/load/process.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { changesOf } from '../upgrade/batches.ts';
import { historySteps } from '../upgrade/history-steps.ts';
import { restartsOf } from '../upgrade/restarts.ts';
import { measured, QUICK_ONLY, type RollingResult, type RollingRun } from './rolling-result.ts';

/** As many as the playbook takes at a time. */
const BATCH = 3;

/**
 * The same ten servers behind HAProxy, upgraded by Changeover with one candidate: three in the candidate cluster, the
 * other seven in batches of three. What counts as wall time is the time in which servers are changed; preflight, trial
 * and decision, which a playbook has not, lie outside.
 */
export async function measureChangeover({
  ratePerSecond,
  beforeMs,
  onProgress,
}: RollingRun): Promise<RollingResult> {
  await using fleet = await createFleet({
    clusters: { main: 10 - BATCH, blue: BATCH },
    candidates: [STATIC_HOME],
    gateways: ['haproxy'],
    logLevel: 'warn',
  });
  const plan = { ...fleet.plan(), ...SHORT };
  await fleet.adopt(plan);
  await using load = await spawnLoad({ url: fleet.gateway.url, ratePerSecond, mix: QUICK_ONLY });
  return await measured({ load, beforeMs, onProgress }, async () => {
    await fleet.start(plan);
    await fleet.handle.result();
    const { batches, spans } = changesOf(await historySteps(fleet.handle));
    const all = await Promise.all(fleet.servers.map(({ name, recordFile }) => restartsOf(name, recordFile)));
    return {
      wallMs: spans.reduce((sum, { from, until }) => sum + (until - from), 0),
      batches: batches.map(({ servers, from, until }) =>
        all
          .flat()
          .filter((one) => servers.includes(one.server) && one.stoppingAt >= from && one.stoppingAt <= until),
      ),
    };
  });
}

/** A trial as short as a decision allows: it is not what is compared. */
const SHORT = {
  trial: { stages: [{ share: '100%', length: '2s' }], readEvery: '1s', minSamples: 20 },
  decision: { rule: 'max-efficacy' },
  approval: 'automatic',
  promotion: { batch: BATCH },
} as const satisfies Partial<PlanInput>;
