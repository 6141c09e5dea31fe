import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadProcess } from '../../demo/load/process.ts';
import type { LoadSummary } from '../../demo/load/summary.ts';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { abortSignal } from '../../src/workflows/messages.ts';
import { createApiGate, type ApiGate } from './support/api-gate.ts';
import { inFlightAt } from './support/in-flight.ts';
import { readRecords } from './support/business-records.ts';
import { assertConserved } from './support/conserved-counts.ts';
import { assertUniform } from './support/end-state.ts';
import { createFleetUnderLoad, type FleetUnderLoad } from './support/fleet-under-load.ts';
import { assertNothingLost, assertOrderlyChange } from './support/invariants.ts';
import { executedBy } from './support/route-watch.ts';
import { assertSameKeySameCluster } from './support/same-key.ts';
import { shortPlan, startLoad } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

/** A start that takes a while leaves time to kill in the middle of it. */
const CANDIDATE = { ...STATIC_HOME, startDelayMs: 1_500 };

/** The controller pushes routes to the second gateway through this. */
let gate: ApiGate;
let up: FleetUnderLoad;
let fleet: FleetUnderLoad['fleet'];
let watch: FleetUnderLoad['watch'];
/** On the first gateway, which lives throughout: it loses nothing, whoever else is killed. */
let load: FleetUnderLoad['load'];
let client: FleetUnderLoad['client'];
/** What the clients of the second gateway saw, which is killed and restarted. */
const second: LoadSummary[] = [];

beforeAll(async () => {
  gate = await createApiGate();
  up = await createFleetUnderLoad(
    { clusters: { main: 2, blue: 2 }, gateways: 2, candidates: [CANDIDATE] },
    {
      planOf: (fresh) => {
        gate.forwardTo(fresh.gateways[1]!.adminUrl);
        return planFor(fresh);
      },
      loaded: ({ gateway }) => [gateway],
    },
  );
  ({ fleet, watch, load, client } = up);
});
afterAll(async () => {
  await up[Symbol.asyncDispose]();
  await gate[Symbol.asyncDispose]();
});

function planFor(of: Fleet): PlanInput {
  const gateways = of.gateways.map(({ name, adminUrl }) => ({
    name,
    admin: name === 'gateway-2' ? gate.url : adminUrl,
  }));
  return shortPlan(of, { baseline: BASELINE, candidates: [CANDIDATE] }, { gateways });
}

const secondGateway = () => fleet.gateways[1]!;

/** Clients of the second gateway. They have no transactions: those live in a gateway's memory, and end with it. */
function startSecondLoad(seed: number): Promise<LoadProcess> {
  return startLoad(fleet, {
    gateways: [secondGateway()],
    ratePerSecond: 10,
    mix: { transaction: 0, slow: 6 },
    seed,
  });
}

async function start(): Promise<void> {
  await fleet.start(planFor(fleet));
}

async function rollBack(): Promise<void> {
  await awaitPhase(fleet, 'awaitingApproval');
  await fleet.handle.signal(abortSignal, { by: 'ann', reason: 'the test has seen enough' });
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', forcedDrains: [] });
  await assertUniform(fleet, report, await readRecords(fleet));
}

/** Requests that the gateway had and did not answer; what found nobody there was never taken. */
function brokenOff({ losses, lost }: LoadSummary): LoadSummary['losses'] {
  expect(losses, 'all losses are on record').toHaveLength(lost);
  return losses.filter(({ error }) => !error.startsWith('ECONNREFUSED'));
}

test('the Temporal server, killed and restarted while servers are upgraded and tried, takes nothing with it', async () => {
  await start();
  await awaitPhase(fleet, 'deploying');
  await fleet.temporal.kill('SIGKILL');
  await fleet.temporal.start();
  await awaitPhase(fleet, 'trial');
  await fleet.temporal.kill('SIGKILL');
  const before = load.latest()?.answered ?? 0;
  await until(
    'traffic flows on without an orchestrator',
    () => (load.latest()?.answered ?? 0) > before + 50,
    {
      timeoutMs: 10_000,
    },
  );
  await fleet.temporal.start();
  await rollBack();
});

test('the controller, killed while a cluster drains and restarted in the trial, forgets nothing', async () => {
  const long = await client.beginLongRequestOn('blue', { ms: 4_000 });
  await start();
  await awaitPhase(fleet, 'draining');
  const before = await fleet.registry.status(fleet.service);
  await fleet.controller.kill('SIGKILL');
  await awaitStatus(fleet, 'the problem is shown, with its time', ({ problems }) =>
    problems.some(({ code, since }) => code === 'ControllerUnreachable' && since !== ''),
  );
  await fleet.controller.start();
  const after = await fleet.registry.status(fleet.service);
  expect(after).toMatchObject({ active: before.active, lock: before.lock });
  expect(await long.answer).toMatchObject({ status: 200, version: BASELINE.version });
  await awaitPhase(fleet, 'trial');
  await fleet.controller.restart();
  await rollBack();
});

test('a gateway that is down while routes are published is shown, catches up by pulling, and is waited for', async () => {
  await using own = await startSecondLoad(2);
  await until('it has clients', () => (own.latest()?.answered ?? 0) > 20, { timeoutMs: 10_000 });
  const inFlight = await inFlightAt(secondGateway());
  await secondGateway().kill('SIGKILL');
  const pushes = gate.hold({ method: 'PUT', path: /\/v1\/routes$/ });
  second.push(await own.stop());
  await start();
  await awaitStatus(fleet, 'that it lacks its routes is shown, with the time', ({ problems }) =>
    problems.some(
      ({ where, code, since }) =>
        where === 'gateway gateway-2' && code === 'RoutesNotAcknowledged' && since !== '',
    ),
  );
  const { active } = await fleet.registry.status(fleet.service);
  await secondGateway().start();
  await secondGateway().waitForTraffic();
  expect(await executedBy(secondGateway().adminUrl)).toEqual(active);
  const log = await readFile(secondGateway().logFile, 'utf8');
  expect(log.includes(`"version":${active.version},"source":"pulled"`), 'it pulled them').toBe(true);
  // What was pushed meanwhile arrives late, and changes nothing any more (invariant 4).
  await pushes.release();
  await awaitStatus(fleet, 'the trial, with no problem', (status) => {
    return status.phase === 'trial' && status.problems.length === 0;
  });
  await rollBack();
  // Only what it had in flight may fail; the load has at most one more on the way than was counted.
  const [summary] = second;
  expect(brokenOff(summary!).length).toBeLessThanOrEqual(inFlight + 2);
});

test('a gateway that is restarted in the trial finishes what it has, and comes back with its routes', async () => {
  await using own = await startSecondLoad(3);
  await start();
  await awaitPhase(fleet, 'trial');
  const before = await executedBy(secondGateway().adminUrl);
  await secondGateway().restart();
  await secondGateway().waitForTraffic();
  const after = await executedBy(secondGateway().adminUrl);
  expect(after?.version).toBeGreaterThanOrEqual(before?.version ?? Infinity);
  await rollBack();
  const summary = await own.stop();
  second.push(summary);
  expect(brokenOff(summary)).toEqual([]);
});

test('of all this the clients of the gateway that lived saw nothing', async () => {
  const summary = await load.stop();
  const records = await readRecords(fleet);
  assertNothingLost(summary);
  assertSameKeySameCluster(summary, watch.samples);
  assertOrderlyChange(records, watch.samples);
  // The killed gateway took its counts since the controller's last look with it: about a second of its clients.
  await assertConserved(fleet, [summary, client, ...second], { uncounted: 30 });
  expect(fleet.unexpectedEnds).toEqual([]);
});
