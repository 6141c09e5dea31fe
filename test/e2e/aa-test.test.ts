import { expect, test } from 'vitest';
import { BASELINE } from '../../demo/packages.ts';
import { createTestFleet, shortPlan, startLoad } from './support/test-fleet.ts';
import { awaitReport } from './support/upgrade-waits.ts';

test('the version of today on two clusters more: the measuring shows no difference, and nothing is promoted', async () => {
  await using fleet = await createTestFleet({ clusters: { main: 1, blue: 1, green: 1 }, candidates: [] });
  await using load = await startLoad(fleet);
  const plan = shortPlan(fleet, {
    baseline: BASELINE,
    candidates: [BASELINE, { ...BASELINE, mode: 'static-home' }],
  });
  await fleet.start({
    ...plan,
    traffic: { ...plan.traffic, policy: { kind: 'hash', weights: { '1.4@blue': 1, '1.4@green': 1 } } },
    trial: { stages: [{ share: '70%', length: '4s' }], readEvery: '500ms', baselineShare: '30%' },
    decision: { rule: 'anytime', aaTest: true, window: '200ms', outcomeWithin: '300ms' },
    approval: 'automatic',
  });
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', winner: null, retired: [] });
  const { verdict } = report.decision;
  expect(verdict).toMatchObject({ kind: 'equivalent', among: ['1.4', '1.4@blue', '1.4@green'] });
  expect(verdict?.sentence).toMatch(
    /^The measuring shows no difference between 1\.4, 1\.4@blue and 1\.4@green/,
  );
  for (const arm of verdict?.arms ?? []) expect(arm).toMatchObject({ units: expect.any(Number) as number });
  for (const server of fleet.servers) {
    expect(await server.status()).toMatchObject({ runningVersion: '1.4', healthy: true });
  }
  const { active } = await fleet.registry.status(fleet.service);
  expect(active).toMatchObject({ mainRelease: '1.4', split: null });
  expect(new Set(active.servers.map(({ release }) => release))).toEqual(new Set(['1.4']));
  expect(await load.stop()).toMatchObject({ lost: 0, losses: [] });
});
