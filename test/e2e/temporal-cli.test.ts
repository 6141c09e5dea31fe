import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BASELINE, FLOATING_SECOND, STATIC_HOME } from '../../demo/packages.ts';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import { changeover, temporal } from './support/commands.ts';
import { createFleetUnderLoad } from './support/fleet-under-load.ts';
import { assertSameKeySameCluster } from './support/same-key.ts';
import { assertSound } from './support/sound-run.ts';
import { shortPlan } from './support/test-fleet.ts';
import { awaitPhase, awaitReport } from './support/upgrade-waits.ts';

const WORKFLOW = ['--workflow-id', 'upgrade-wealth'];

/** What the query answers, as `temporal workflow query --output json` prints it. */
function queried(out: string): UpgradeStatus {
  const { queryResult } = JSON.parse(out) as { queryResult: [UpgradeStatus] };
  return queryResult[0];
}

test('an upgrade driven by the temporal command alone promotes the better version, with nothing lost', async () => {
  await using up = await createFleetUnderLoad({
    clusters: { main: 2, blue: 2, green: 2 },
    gateways: 2,
    candidates: [STATIC_HOME, FLOATING_SECOND],
  });
  const { fleet, watch, load, client } = up;
  const planFile = join(fleet.folder, 'plan.json');
  const plan = shortPlan(fleet, { baseline: BASELINE, candidates: [STATIC_HOME, FLOATING_SECOND] });
  await writeFile(planFile, JSON.stringify(plan));
  const transaction = await client.beginTransactionOn('blue');
  const long = await client.beginLongRequestOn('green', { ms: 4_000 });

  const started = await temporal(
    fleet,
    ...['workflow', 'start', '--type', 'upgradeWorkflow', '--task-queue', 'changeover', ...WORKFLOW],
    ...['--input-file', planFile],
  );
  expect(started.code, started.err).toBe(0);

  // The candidate clusters drain: what began there goes on there, and they wait for it (invariant 5).
  await awaitPhase(fleet, 'draining');
  expect(await transaction.step()).toMatchObject({ status: 200, server: transaction.server, version: '1.4' });
  expect(await long.answer).toMatchObject({ status: 200, server: long.server, version: '1.4' });
  expect((await long.answer).text).toMatch(/done\n$/);
  const drain = await awaitPhase(fleet, 'draining');
  expect(drain.servers.find(({ name }) => name === transaction.server)?.stage).toBe('draining');
  expect(await transaction.finish()).toMatchObject({ status: 200, server: transaction.server });

  await awaitPhase(fleet, 'awaitingApproval');
  const status = await temporal(
    fleet,
    ...['workflow', 'query', ...WORKFLOW, '--type', 'status', '--output', 'json'],
  );
  expect(queried(status.out)).toMatchObject({
    phase: 'awaitingApproval',
    verdict: { kind: 'winner', winner: '2.0-a' },
    can: expect.arrayContaining(['approve', 'abort']),
  });
  const approved = await temporal(
    fleet,
    ...['workflow', 'signal', ...WORKFLOW, '--name', 'approve'],
    ...['--input', JSON.stringify({ by: 'ann', comment: 'sells better' })],
  );
  expect(approved.code, approved.err).toBe(0);

  const result = await temporal(fleet, 'workflow', 'result', ...WORKFLOW, '--output', 'json');
  expect(result.code, result.err).toBe(0);
  const { result: ended } = JSON.parse(result.out) as { result: UpgradeReport };
  expect(ended).toMatchObject({
    outcome: 'promoted',
    winner: '2.0-a',
    retired: ['1.4', '2.0-b'],
    decision: { approval: { by: 'ann', candidate: '2.0-a', comment: 'sells better' } },
  });
  const report = await awaitReport(fleet);
  expect(report.forcedDrains).toEqual([]);
  const summary = await load.stop();
  await assertSound({ fleet, report, watch, load: [summary], clients: [client] });
  expect(assertSameKeySameCluster(summary, watch.samples)).toBeGreaterThan(50);
  const replay = await changeover(fleet, 'replay', 'upgrade-wealth');
  expect(replay.code, replay.out + replay.err).toBe(0);
});
