import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadProcess } from '../../demo/load/process.ts';
import { BASELINE, STATIC_HOME, type BusinessRelease } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { pauseSignal, resumeSignal } from '../../src/workflows/messages.ts';
import { readRecords } from './support/business-records.ts';
import { assertDecisionDerivable, assertUniform } from './support/end-state.ts';
import { createTestFleet, shortPlan, startLoad, type TestFleet } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus, statusOf } from './support/upgrade-waits.ts';

/**
 * A candidate that is well in the trial and turns bad while its upgrade stands still. Without a worker: agents.test.ts, and
 * with no upgrade at all guardrails.test.ts.
 */
const WAIT = { timeoutMs: 30_000 };

let folder: string;
let turnsBad: BusinessRelease & { readonly failsWithFile: string };
let fleet: TestFleet;
let load: LoadProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-turns-bad-'));
  turnsBad = { ...STATIC_HOME, failsWithFile: join(folder, 'bad') };
  fleet = await createTestFleet({ clusters: { main: 1, blue: 1 }, candidates: [turnsBad] }, (fresh) =>
    planFor(fresh),
  );
  // Transactions on it would break by its own fault, and say nothing of ours.
  load = await startLoad(fleet, { mix: { transaction: 0 } });
});
beforeEach(() => rm(turnsBad.failsWithFile, { force: true }));
afterAll(async () => {
  const { lostBy, losses } = await load.stop();
  await fleet.close();
  await rm(folder, { recursive: true, force: true });
  expect(lostBy).toMatchObject({ network: 0, timeout: 0, gatewayError: 0 });
  expect(new Set(losses.map(({ version }) => version))).toEqual(new Set([turnsBad.version]));
});

function planFor(of: Fleet, change: Partial<PlanInput> = {}): PlanInput {
  return shortPlan(of, { baseline: BASELINE, candidates: [turnsBad] }, change);
}

/** The candidate fails from now on: it is pulled, and all gateways send its customers to the baseline. */
async function turnBad(): Promise<void> {
  await writeFile(turnsBad.failsWithFile, '');
  const isPulled = async (): Promise<boolean> => {
    const { active, gateways } = await fleet.registry.status(fleet.service);
    const isOut = active.split?.pulled.includes(turnsBad.version) === true;
    return isOut && gateways.every(({ acknowledged }) => acknowledged >= active.version);
  };
  await until('the controller pulls it, and the gateways know', isPulled, WAIT);
}

async function expectTakenBack(): Promise<void> {
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', winner: null, forcedDrains: [] });
  expect(report.decision).toMatchObject({
    aborted: null,
    verdict: { kind: 'pulled' },
    pulled: { [turnsBad.version]: expect.stringMatching(/requests failed, allowed are 5 %/) as unknown },
  });
  await assertUniform(fleet, report, await readRecords(fleet));
  await assertDecisionDerivable(fleet, report);
}

test('a guardrail pulls a candidate while the run is paused, which finds it so when it is resumed', async () => {
  const stages = [{ share: '100%', length: '5m' }];
  await fleet.start(planFor(fleet, { trial: { stages, readEvery: '500ms', baselineShare: '10%' } }));
  await awaitPhase(fleet, 'trial');
  await fleet.handle.signal(pauseSignal, { by: 'ann' });
  const isStill = ({ step }: { step: { what: string } }): boolean => step.what === 'Waiting: paused by ann';
  await awaitStatus(fleet, 'the run stands still', isStill);
  await turnBad();
  // The run did nothing for it, and does not know it yet.
  expect(await statusOf(fleet)).toMatchObject({
    phase: 'trial',
    paused: { by: 'ann' },
    trial: { pulled: {} },
    outcome: null,
  });
  await fleet.handle.signal(resumeSignal, { by: 'ann' });
  await expectTakenBack();
});

test('a guardrail pulls the winner while its approval is awaited, and the run takes it back by itself', async () => {
  await fleet.start(planFor(fleet));
  const { verdict } = await awaitPhase(fleet, 'awaitingApproval');
  expect(verdict).toMatchObject({ kind: 'winner', winner: turnsBad.version });
  await turnBad();
  await expectTakenBack();
});
