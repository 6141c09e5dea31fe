import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import type { GatewayProcess } from '../../demo/fleet/fleet-parts.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadSummary } from '../../demo/load/summary.ts';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { findHaproxy } from '../../src/haproxy/haproxy-command.ts';
import { abortSignal, approveSignal, timelineQuery } from '../../src/workflows/messages.ts';
import { requireComponent } from '../support/require-component.ts';
import type { OpenTransaction } from './support/business-client.ts';
import { inFlightAt } from './support/in-flight.ts';
import { readRecords } from './support/business-records.ts';
import { changeover, type CommandResult } from './support/commands.ts';
import { assertConserved } from './support/conserved-counts.ts';
import { assertUniform } from './support/end-state.ts';
import { createFleetUnderLoad, type FleetUnderLoad } from './support/fleet-under-load.ts';
import { assertNothingLost, assertOrderlyChange } from './support/invariants.ts';
import { executedBy } from './support/route-watch.ts';
import { shortPlan, startLoad } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

const RELEASES = { baseline: BASELINE, candidates: [STATIC_HOME] };
const present = (await findHaproxy(process.env)) !== null;
const GONE = ['gateway-2', ...(present ? ['gateway-3'] : [])];
/** Of the load on gateways that are killed; as many losses as are on record have to do for their time away. */
const RATE = 20;

/** The first stage leaves time to kill in the middle of it, before the routes of the second are published. */
function planFor(of: Fleet, releases: Parameters<typeof shortPlan>[1] = RELEASES): PlanInput {
  const plan = shortPlan(of, releases);
  const { traffic } = plan;
  return {
    ...plan,
    trial: {
      ...plan.trial,
      stages: [
        { share: '30%', length: '4s' },
        { share: '100%', length: '1500ms' },
      ],
    },
    // One transaction stays open for as long as the test wants.
    traffic: { ...traffic, transactions: { ...traffic.transactions!, idle: '2m' } },
  };
}

let up: FleetUnderLoad;
let fleet: FleetUnderLoad['fleet'];
/** Keeps one server of the baseline cluster in its drain. */
let open: OpenTransaction;
/** What clients of gateways that were away saw. */
const others: LoadSummary[] = [];

beforeAll(async () => {
  up = await createFleetUnderLoad(
    {
      clusters: { main: 2, blue: 2 },
      gateways: ['embedded', 'embedded', ...(present ? (['haproxy'] as const) : [])],
      candidates: [STATIC_HOME],
    },
    // On the first gateway, which lives until the last test.
    { planOf: planFor, loaded: ({ gateway }) => [gateway] },
  );
  fleet = up.fleet;
});
afterAll(() => up[Symbol.asyncDispose]());

const gone = (): GatewayProcess => fleet.gateways[1]!;
const haproxy = (): GatewayProcess => fleet.gateways[2]!;

/** The process, and where HAProxy carries the traffic, that one too. */
async function killAll(gateway: GatewayProcess): Promise<void> {
  await Promise.all([gateway.kill('SIGKILL'), gateway.haproxy?.kill()]);
}

function exclude(gateway: string): Promise<CommandResult> {
  const why = ['--by', 'ann', '--reason', 'its power is off'];
  return changeover(fleet, 'exclude-gateway', fleet.service, '--gateway', gateway, ...why);
}

/** What `ExecStartPre=` of an HAProxy's service does. */
function syncHaproxy(): Promise<CommandResult> {
  const files = join(fleet.folder, haproxy().name);
  return changeover(
    fleet,
    ...['haproxy', 'sync', '--name', haproxy().name, '--service', fleet.service, '--patience', '1s'],
    ...['--files', files, '--state', join(files, 'state')],
  );
}

async function healthOf(adminUrl: string): Promise<{ status: string; upgrade?: string }> {
  const { body } = await request(`${adminUrl}/health`, { signal: AbortSignal.timeout(1_000) });
  return (await body.json()) as { status: string; upgrade?: string };
}

/** Servers and versions that answer new business of many accounts. */
async function answering({ url }: GatewayProcess): Promise<readonly string[]> {
  const accounts = Array.from({ length: 40 }, (_, index) => `${200_000 + index}`);
  const answers = await Promise.all(accounts.map((account) => up.client.homePage(url, { account })));
  return [...new Set(answers.map(({ server, version }) => `${server} ${version}`))].toSorted();
}

/** Where new business goes by the active routes: no split is left when the winner is promoted. */
async function openNow(): Promise<readonly string[]> {
  const { active } = await fleet.registry.status(fleet.service);
  expect(active.split).toBeNull();
  const serving = active.servers.filter(
    ({ ingress, release }) => ingress === 'open' && release === active.mainRelease,
  );
  return serving.map(({ name, release }) => `${name} ${release}`).toSorted();
}

test('an upgrade waits for gateways that were killed, shows them, and goes on when they are declared gone', async () => {
  open = await up.client.beginTransactionOn('main');
  await fleet.start(planFor(fleet));
  await awaitPhase(fleet, 'trial');
  await Promise.all(fleet.gateways.slice(1).map(killAll));
  const { gateways } = await awaitStatus(fleet, 'the laggards are shown', ({ problems }) =>
    GONE.every((name) =>
      problems.some(({ where, code }) => where === `gateway ${name}` && code === 'RoutesNotAcknowledged'),
    ),
  );
  expect(gateways?.laggards).toEqual(GONE);
  expect(gateways?.list.find(({ name }) => name === 'gateway-2')).toMatchObject({
    problem: expect.stringContaining('ECONNREFUSED'),
    problemSince: expect.any(String),
  });

  expect(await exclude('gateway-1'), 'the one that lives is refused').toMatchObject({
    code: 3,
    err: expect.stringContaining('gateway-1 is not gone'),
  });
  for (const name of GONE) {
    expect(await exclude(name)).toMatchObject({
      code: 0,
      out: expect.stringContaining(`Excluded gateway ${name}: no step waits for it until it is back (ann`),
    });
  }
  await awaitPhase(fleet, 'awaitingApproval');
  const told = (await fleet.handle.query(timelineQuery)).map(({ what, by }) => `${what} (${by ?? ''})`);
  expect(told).toEqual(
    expect.arrayContaining(GONE.map((name) => `Declaring gateway ${name} gone: its power is off (ann)`)),
  );
});

test('none of them serves before it has the current routes, while the controller is away (invariant 2)', async () => {
  await fleet.handle.signal(approveSignal, { by: 'ann' });
  // By the routes that the gateways had, most business would go to the server that drains now.
  await awaitStatus(fleet, 'a server drains', ({ phase, servers }) => {
    const draining = servers.find(({ name }) => name === open.server)?.stage === 'draining';
    return phase === 'promoting' && draining;
  });
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
  if (present) {
    expect(await syncHaproxy()).toMatchObject({
      code: 4,
      err: expect.stringContaining('HAProxy must not start: upgrade'),
    });
  }
  await fleet.controller.start();
  await starting;
  await gone().waitForTraffic();
  expect(await answering(gone())).toEqual(await openNow());
  const { active, gateways } = await fleet.registry.status(fleet.service);
  expect(await executedBy(gone().adminUrl)).toEqual(active);
  expect(gateways.find(({ name }) => name === 'gateway-2')?.excluded).toBeUndefined();
});

test('an HAProxy has the current routes on its disk before it starts, and is waited for from then on (invariant 2)', async (context) => {
  requireComponent('HAProxy', present, context);
  expect(await syncHaproxy()).toMatchObject({
    code: 0,
    out: expect.stringContaining('HAProxy starts by the current routes'),
  });
  const { gateways } = await fleet.registry.status(fleet.service);
  expect(gateways.find(({ name }) => name === 'gateway-3')?.excluded).toBeUndefined();
  // Its companion is away still: HAProxy serves by what it found.
  await haproxy().haproxy!.start();
  expect(await answering(haproxy())).toEqual(await openNow());
  await haproxy().start();
  await haproxy().waitForTraffic();
  const { active } = await fleet.registry.status(fleet.service);
  expect(await executedBy(haproxy().adminUrl)).toEqual(active);
});

test('they are waited for again, and the upgrade ends everywhere; clients of the one that lived saw nothing', async () => {
  const own = await startLoad(fleet, {
    gateways: fleet.gateways.filter((one) => one.running).slice(1),
    ratePerSecond: 60,
    seed: 7,
  });
  expect(await open.finish()).toMatchObject({ status: 200, server: open.server, version: open.version });
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({
    outcome: 'promoted',
    exclusions: [
      { gateway: 'gateway-1', stands: 'refused' },
      ...GONE.map((gateway) => ({ gateway, by: 'ann', stands: 'back' })),
    ],
  });
  const [mine, theirs] = await Promise.all([up.load.stop(), own.stop()]);
  assertNothingLost(mine);
  // It began when the upgrade was nearly over.
  assertNothingLost(theirs, { moreThan: 20 });
  others.push(mine, theirs);
  const records = await readRecords(fleet);
  assertOrderlyChange(records, up.watch.samples);
  await assertUniform(fleet, report, records);
  expect(fleet.unexpectedEnds).toEqual([]);
});

test('all gateways and the controller, killed at once in a trial, lose what they had in flight and nothing else', async () => {
  const own = await startLoad(fleet, { ratePerSecond: RATE, mix: { transaction: 0, slow: 6 }, seed: 8 });
  await fleet.start(planFor(fleet, { baseline: STATIC_HOME, candidates: [BASELINE] }));
  await awaitPhase(fleet, 'trial');
  const before = await Promise.all(fleet.gateways.map(({ adminUrl }) => executedBy(adminUrl)));
  const inFlight = await Promise.all(fleet.gateways.map(inFlightAt));
  const processes = [fleet.controller, ...fleet.gateways];
  await Promise.all([fleet.controller.kill('SIGKILL'), ...fleet.gateways.map(killAll)]);
  await Promise.all(processes.map((one) => one.start()));
  await Promise.all(fleet.gateways.map((gateway) => gateway.waitForTraffic()));
  for (const [index, { name, adminUrl }] of fleet.gateways.entries()) {
    const after = await executedBy(adminUrl);
    expect(after?.version, `${name} has routes that are not older (invariant 4)`).toBeGreaterThanOrEqual(
      before[index]?.version ?? Infinity,
    );
  }
  await awaitStatus(fleet, 'the run goes on', ({ problems, phase }) => {
    return problems.length === 0 && phase !== 'trial';
  });
  await fleet.handle.signal(abortSignal, { by: 'ann', reason: 'the test has seen enough' });
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', forcedDrains: [] });

  const summary = await own.stop();
  const { lost, losses, lostBy } = summary;
  expect(losses, 'all losses are on record').toHaveLength(lost);
  expect(lostBy).toEqual({ network: lost, timeout: 0, gatewayError: 0, serverError: 0 });
  const brokenOff = losses.filter(({ error }) => !error.startsWith('ECONNREFUSED'));
  // Between counting and killing, a few more may have come.
  expect(brokenOff.length).toBeLessThanOrEqual(inFlight.reduce((sum, one) => sum + one, 0) + 5);
  const records = await readRecords(fleet);
  assertOrderlyChange(records, up.watch.samples);
  await assertUniform(fleet, report, records);
  // What was counted since the controller's last look is gone with the gateways: about a second. Nothing is there twice.
  await assertConserved(fleet, [...others, up.client, summary], {
    uncounted: 2 * RATE,
    // Besides, each start of HAProxy asks it once whether it answers.
    brokenOff: brokenOff.length + 2,
  });
  expect(fleet.unexpectedEnds).toEqual([]);
});
