import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { HaproxyControl } from '../../demo/fleet/fleet-parts.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadSummary } from '../../demo/load/summary.ts';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { findHaproxy } from '../../src/haproxy/haproxy-command.ts';
import { abortSignal, approveSignal } from '../../src/workflows/messages.ts';
import { requireComponent } from '../support/require-component.ts';
import { readRecords } from './support/business-records.ts';
import { assertConserved } from './support/conserved-counts.ts';
import { assertUniform } from './support/end-state.ts';
import { createFleetUnderLoad, type FleetUnderLoad } from './support/fleet-under-load.ts';
import { assertNothingLost, assertOrderlyChange } from './support/invariants.ts';
import { executedBy } from './support/route-watch.ts';
import { assertSameKeySameCluster } from './support/same-key.ts';
import { shortPlan, startLoad } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

/** A start that takes a while leaves time for reloads in the middle of it. */
const CANDIDATE = { ...STATIC_HOME, startDelayMs: 1_000 };
const RATE = 60;
/** Answers of which a reload leaves only server and status: those of half a second, and what was under way. */
const WITHOUT_VOLUME_PER_RELOAD = RATE;

/** So long after its start an HAProxy waits for tables of others, locally and then elsewhere, and hands nothing over. */
const HANDS_OVER_AFTER_MS = 11_000;

const present = (await findHaproxy(process.env)) !== null;

let up: FleetUnderLoad;
let fleet: FleetUnderLoad['fleet'];
let watch: FleetUnderLoad['watch'];
/** On the first HAProxy, which is reloaded again and again, and on the embedded gateway beside it. */
let load: FleetUnderLoad['load'];
let client: FleetUnderLoad['client'];
/** On the second HAProxy, which is killed. */
const second: LoadSummary[] = [];
let reloads = 0;

beforeEach((context) => requireComponent('HAProxy', present, context));

beforeAll(async () => {
  if (!present) return;
  up = await createFleetUnderLoad(
    {
      clusters: { main: 2, blue: 2 },
      gateways: ['haproxy', 'haproxy', 'embedded'],
      candidates: [CANDIDATE],
    },
    { planOf, loaded: ({ gateways }) => [gateways[0]!, gateways[2]!], ratePerSecond: RATE },
  );
  const upAt = performance.now();
  ({ fleet, watch, load, client } = up);
  // Sooner after its start a reload hands no transactions over (README, limits).
  await until('a reload hands transactions over', () => performance.now() - upAt > HANDS_OVER_AFTER_MS, {
    timeoutMs: 2 * HANDS_OVER_AFTER_MS,
  });
});
afterAll(async () => {
  if (present) await up[Symbol.asyncDispose]();
});

function planOf(of: Parameters<typeof shortPlan>[0]): PlanInput {
  return shortPlan(of, { baseline: BASELINE, candidates: [CANDIDATE] });
}

function haproxy(index: number): HaproxyControl {
  const control = fleet.gateways[index]?.haproxy;
  if (control === undefined) throw new Error(`gateway ${index + 1} is no HAProxy`);
  return control;
}

async function reload(): Promise<void> {
  reloads += 1;
  await haproxy(0).reload();
}

test('reloads in every phase of an upgrade and of its rollback cost no request and cut no transaction', async () => {
  const [long, transaction] = await Promise.all([
    client.beginLongRequestOn('blue', { ms: 3_000 }),
    client.beginTransactionOn('blue'),
  ]);
  await fleet.start(planOf(fleet));
  await awaitPhase(fleet, 'draining');
  await reload();
  // On its server and version, though that drains and another process of HAProxy has taken over (invariant 5).
  expect(await transaction.step()).toMatchObject({ status: 200, server: transaction.server });
  await reload();
  expect(await transaction.step()).toMatchObject({ status: 200, server: transaction.server });
  // The process that has it was replaced twice; nobody may touch its server before it is answered (invariant 2).
  expect(await long.answer).toMatchObject({ status: 200, version: BASELINE.version });
  await transaction.finish();
  await awaitPhase(fleet, 'deploying');
  await reload();
  await awaitPhase(fleet, 'trial');
  await reload();
  await awaitPhase(fleet, 'awaitingApproval');
  await reload();
  await fleet.handle.signal(abortSignal, { by: 'ann', reason: 'the test has seen enough' });
  await awaitPhase(fleet, 'rollingBack');
  await reload();
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', forcedDrains: [] });
  await assertUniform(fleet, report, await readRecords(fleet));
});

test('an HAProxy that is killed loses what it had in flight and nothing else, and is waited for', async () => {
  const own = await startLoad(fleet, {
    gateways: [fleet.gateways[1]!],
    ratePerSecond: 20,
    mix: { transaction: 0, slow: 4 },
    seed: 2,
  });
  await until('it has clients', () => (own.latest()?.answered ?? 0) > 20, { timeoutMs: 10_000 });
  await fleet.start(planOf(fleet));
  await awaitPhase(fleet, 'draining');
  const before = await executedBy(fleet.gateways[1]!.adminUrl);
  await haproxy(1).kill();
  second.push(await own.stop());
  await awaitStatus(fleet, 'that it is away is shown', ({ problems }) => problems.length > 0);
  await haproxy(1).start();
  await until(
    'it has routes that are not older',
    async () =>
      ((await executedBy(fleet.gateways[1]!.adminUrl))?.version ?? 0) >= (before?.version ?? Infinity),
    { timeoutMs: 20_000 },
  );
  await awaitPhase(fleet, 'awaitingApproval');
  await reload();
  await fleet.handle.signal(approveSignal, { by: 'ann', candidate: CANDIDATE.version });
  await awaitPhase(fleet, 'promoting');
  await reload();
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'promoted', forcedDrains: [] });
  await assertUniform(fleet, report, await readRecords(fleet));
});

test('the companion is killed while servers are changed: HAProxy serves on, and the upgrade waits for it', async () => {
  const [first] = fleet.gateways;
  const back = shortPlan(fleet, { baseline: CANDIDATE, candidates: [BASELINE] });
  await fleet.start(back);
  await awaitPhase(fleet, 'draining');
  await first!.kill('SIGKILL');
  const before = load.latest()?.answered ?? 0;
  await until('its clients are served on', () => (load.latest()?.answered ?? 0) > before + 2 * RATE, {
    timeoutMs: 10_000,
  });
  await first!.start();
  // The release of before is the worse one: the trial itself goes back.
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', forcedDrains: [] });
  await assertUniform(fleet, report, await readRecords(fleet));
});

test('of all this the clients of the HAProxy that was reloaded saw nothing, and everything was counted', async () => {
  const summary = await load.stop();
  const records = await readRecords(fleet);
  assertNothingLost(summary);
  // The same account by HAProxy and by the embedded gateway (invariant 7).
  expect(assertSameKeySameCluster(summary, watch.samples)).toBeGreaterThan(0);
  assertOrderlyChange(records, watch.samples);
  // What the killed one had in flight; what found nobody there was never taken.
  const [killed] = second;
  const brokenOff = killed?.losses.filter(({ error }) => !error.startsWith('ECONNREFUSED')) ?? [];
  expect(brokenOff.length).toBeLessThanOrEqual(20);
  await assertConserved(fleet, [summary, client, ...second], {
    uncounted: reloads * WITHOUT_VOLUME_PER_RELOAD + 30,
    // Besides, its start asks it once whether it answers, which it does by the routes on its disk.
    brokenOff: brokenOff.length + 1,
  });
});
