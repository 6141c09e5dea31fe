import { expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { ONE_SERVER_EACH, sameVersionPlan } from './support/same-version-plan.ts';
import { createTestFleet, startLoad } from './support/test-fleet.ts';
import { awaitReport, awaitStatus } from './support/upgrade-waits.ts';

function aaPlan(fleet: Fleet): PlanInput {
  const policy = { kind: 'hash' as const, weights: { '2.0-a@blue': 1, '2.0-a@green': 1 } };
  return sameVersionPlan(fleet, { traffic: { policy }, length: '3s' });
}

test('the same version on two clusters: the measuring shows no difference, and nothing is promoted', async () => {
  await using fleet = await createTestFleet(ONE_SERVER_EACH, aaPlan);
  await using load = await startLoad(fleet);
  await fleet.start(aaPlan(fleet));
  const { servers } = await awaitStatus(fleet, 'the trial', ({ phase }) => phase === 'trial');
  expect(servers.map(({ release }) => release)).toEqual(['1.4', '2.0-a@blue', '2.0-a@green']);
  expect(await Promise.all(fleet.servers.map((server) => server.status()))).toMatchObject([
    { runningVersion: '1.4' },
    { runningVersion: '2.0-a' },
    { runningVersion: '2.0-a' },
  ]);

  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', winner: null, retired: ['2.0-a'] });
  expect(report.decision.verdict).toMatchObject({
    kind: 'equivalent',
    sentence: expect.stringMatching(
      /^The measuring shows no difference between 2\.0-a@blue and 2\.0-a@green, which run the same version/,
    ) as unknown,
    arms: [
      { version: '2.0-a@blue', efficacy: expect.any(Number) as unknown },
      { version: '2.0-a@green', efficacy: expect.any(Number) as unknown },
    ],
  });
  for (const server of fleet.servers) {
    expect(await server.status()).toMatchObject({ runningVersion: '1.4', healthy: true });
  }
  const { active } = await fleet.registry.status(fleet.service);
  expect(active).toMatchObject({ mainRelease: '1.4', split: null });
  expect(await load.stop()).toMatchObject({ lost: 0, losses: [] });
});
