import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadProcess } from '../../demo/load/process.ts';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { approveSignal, excludeGatewaySignal, timelineQuery } from '../../src/workflows/messages.ts';
import { assertNothingLost, assertSealedWhileChanged, assertVersionsGrow } from './support/invariants.ts';
import { readRecords } from './support/business-records.ts';
import { executedBy, watchRoutes, type RouteWatch } from './support/route-watch.ts';
import { createTestFleet, shortPlan, startLoad, type TestFleet } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

const RELEASES = { baseline: BASELINE, candidates: [STATIC_HOME] };

/** The first stage leaves time to kill in the middle of it, before the routes of the second are published. */
function planFor(of: Fleet): PlanInput {
  const stages = [
    { share: '30%', length: '4s' },
    { share: '100%', length: '1500ms' },
  ];
  const plan = shortPlan(of, RELEASES);
  return { ...plan, trial: { ...plan.trial, stages } };
}

let fleet: TestFleet;
let watch: RouteWatch;
/** On the first gateway, which lives throughout. */
let load: LoadProcess;

beforeAll(async () => {
  fleet = await createTestFleet(
    { clusters: { main: 2, blue: 2 }, gateways: 2, candidates: [STATIC_HOME] },
    planFor,
  );
  watch = watchRoutes(fleet);
  load = await startLoad(fleet, { gateways: [fleet.gateway] });
});
afterAll(async () => {
  await load[Symbol.asyncDispose]();
  await watch[Symbol.asyncDispose]();
  await fleet.close();
});

const gone = () => fleet.gateways[1]!;

async function exclude(gateway: string): Promise<void> {
  await fleet.handle.signal(excludeGatewaySignal, { by: 'ann', gateway, reason: 'its power is off' });
}

async function told(): Promise<readonly string[]> {
  const entries = await fleet.handle.query(timelineQuery);
  return entries.map(({ what, by }) => `${what} (${by ?? ''})`);
}

async function healthOf(adminUrl: string): Promise<{ status: string; upgrade?: string }> {
  const { body } = await request(`${adminUrl}/health`, { signal: AbortSignal.timeout(1_000) });
  return (await body.json()) as { status: string; upgrade?: string };
}

test('an upgrade waits for a gateway that was killed, shows it, and goes on when it is declared gone', async () => {
  await fleet.start(planFor(fleet));
  await awaitPhase(fleet, 'trial');
  await gone().kill('SIGKILL');
  const { gateways } = await awaitStatus(fleet, 'the laggard is shown', (status) =>
    status.problems.some(
      ({ where, code }) => where === 'gateway gateway-2' && code === 'RoutesNotAcknowledged',
    ),
  );
  expect(gateways?.laggards).toEqual(['gateway-2']);
  expect(gateways?.list.find(({ name }) => name === 'gateway-2')).toMatchObject({
    problem: expect.stringContaining('ECONNREFUSED'),
    problemSince: expect.any(String),
  });

  await exclude('gateway-1');
  await until(
    'the one that lives is refused',
    async () => {
      return (await told()).some((line) =>
        /Refused excludeGateway: gateway-1 is not gone.*\(ann\)/.test(line),
      );
    },
    { timeoutMs: 20_000 },
  );
  await exclude('gateway-2');
  await awaitPhase(fleet, 'awaitingApproval');
  expect(await told()).toEqual(
    expect.arrayContaining([
      'Declaring gateway gateway-2 gone: its power is off (ann)',
      'Excluded gateway gateway-2: no step waits for it until it is back (ann)',
    ]),
  );
});

test('it does not serve before it has the current routes, also where the controller is away (invariant 2)', async () => {
  await fleet.controller.kill('SIGKILL');
  const starting = gone().start();
  await until(
    'it waits, and says for what',
    async () => {
      const { status, upgrade } = await healthOf(gone().adminUrl);
      return status === 'notReady' && upgrade !== undefined;
    },
    { timeoutMs: 20_000 },
  );
  await expect(request(gone().url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await fleet.controller.start();
  await starting;
  await gone().waitForTraffic();
  const served = await executedBy(gone().adminUrl);
  const { active, gateways } = await fleet.registry.status(fleet.service);
  expect(served).toEqual(active);
  expect(gateways.find(({ name }) => name === 'gateway-2')?.excluded).toBeUndefined();
});

test('it is waited for again, and the upgrade ends everywhere; the clients of the other one saw nothing', async () => {
  await using own = await startLoad(fleet, { gateways: [gone()], ratePerSecond: 60, seed: 7 });
  await fleet.handle.signal(approveSignal, { by: 'ann' });
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({
    outcome: 'promoted',
    exclusions: [
      { gateway: 'gateway-1', stands: 'refused' },
      { gateway: 'gateway-2', by: 'ann', stands: 'back' },
    ],
  });
  assertNothingLost(await own.stop());
  assertNothingLost(await load.stop());
  assertSealedWhileChanged(await readRecords(fleet), watch.samples);
  assertVersionsGrow(watch.samples);
  expect(fleet.unexpectedEnds).toEqual([]);
});
