import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { Phase } from '../../src/domain/upgrade/phase.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import { abortSignal, approveSignal } from '../../src/workflows/messages.ts';
import { changeover, temporal } from './support/commands.ts';
import { createApiGate, type CallPattern, type ApiGate } from './support/api-gate.ts';
import { assertUniform } from './support/end-state.ts';
import { assertSound } from './support/sound-run.ts';
import { readRecords } from './support/business-records.ts';
import { createFleetUnderLoad, type FleetUnderLoad } from './support/fleet-under-load.ts';
import { shortPlan } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

/** A start that takes a while leaves time to abort in the middle of it. */
const CANDIDATE = { ...STATIC_HOME, startDelayMs: 1_000 };

let gate: ApiGate;
let up: FleetUnderLoad;
let fleet: FleetUnderLoad['fleet'];

/** One service under load throughout: after each rollback it is where it was, and the next upgrade can come. */
beforeAll(async () => {
  gate = await createApiGate();
  up = await createFleetUnderLoad({
    clusters: { main: 2, blue: 1 },
    candidates: [CANDIDATE],
    workerEnv: { CHANGEOVER_CONTROLLER_URL: gate.url },
  });
  fleet = up.fleet;
  gate.forwardTo(fleet.controller.url);
});
afterAll(async () => {
  await up[Symbol.asyncDispose]();
  await gate[Symbol.asyncDispose]();
});

const plan = (change: Partial<PlanInput> = {}): PlanInput =>
  shortPlan(fleet, { baseline: BASELINE, candidates: [CANDIDATE] }, change);

async function writePlan(name: string, content: unknown): Promise<string> {
  const file = join(fleet.folder, name);
  await writeFile(file, JSON.stringify(content));
  return file;
}

const upgradeIds: string[] = [];

async function expectRolledBack(): Promise<void> {
  const report = await awaitReport(fleet);
  expect(upgradeIds, 'each upgrade has an id of its own').not.toContain(report.upgradeId);
  upgradeIds.push(report.upgradeId);
  expect(report).toMatchObject({ outcome: 'rolledBack', winner: null, decision: { aborted: { by: 'ann' } } });
  await assertUniform(fleet, report, await readRecords(fleet));
}

describe('abort', () => {
  const activate: CallPattern = { method: 'POST', path: /\/routes\/activate$/ };
  const HELD_IN: readonly (readonly [Phase, CallPattern])[] = [
    ['preflight', { method: 'POST', path: /\/lock$/ }],
    ['closingIngress', activate],
    ['draining', { method: 'POST', path: /\/load$/ }],
    ['staging', { method: 'POST', path: /\/routes\/stage$/ }],
    ['reportingReady', { method: 'POST', path: /\/ready$/ }],
    ['applyingRoutes', { method: 'PUT', path: /\/guardrails$/ }],
  ];

  test.each(HELD_IN)('in phase %s takes everything back', async (phase, call) => {
    const held = gate.hold(call);
    await fleet.start(plan());
    await awaitPhase(fleet, phase);
    await held.reached(`a call in phase ${phase}`);
    await fleet.handle.signal(abortSignal, { by: 'ann', reason: `in ${phase}` });
    await awaitStatus(fleet, 'the abort is heard', ({ aborted }) => aborted !== null);
    await held.release();
    await expectRolledBack();
  });

  test.each(['deploying', 'trial', 'awaitingApproval'] as const)(
    'in phase %s takes everything back',
    async (phase) => {
      await fleet.start(plan());
      await awaitPhase(fleet, phase);
      await fleet.handle.signal(abortSignal, { by: 'ann', reason: `in ${phase}` });
      await expectRolledBack();
    },
  );

  test('while the winner is promoted takes everything back, by the command line', async () => {
    await fleet.start(plan());
    await awaitPhase(fleet, 'awaitingApproval');
    await fleet.handle.signal(approveSignal, { by: 'bob' });
    await awaitStatus(fleet, 'a server of the baseline cluster is changed', ({ servers }) =>
      servers.some(({ cluster, stage }) => cluster === 'main' && stage === 'changing'),
    );
    // The command takes its time to start; the promotion does not end meanwhile.
    const held = gate.hold(activate);
    const aborted = await changeover(fleet, 'abort', 'wealth', '--by', 'ann', '--reason', 'the figures');
    expect(aborted.code, aborted.err).toBe(0);
    await held.release();
    await expectRolledBack();
    expect((await changeover(fleet, 'watch', 'wealth')).code, 'of a rollback').toBe(1);
  });
});

describe('an operator', () => {
  test('pauses in the middle of a drain and resumes, while a second upgrade is refused everywhere', async () => {
    const held = gate.hold({ method: 'POST', path: /\/load$/ });
    const file = await writePlan('plan.json', plan());
    expect((await changeover(fleet, 'start', file)).code).toBe(0);
    await held.reached('the drain');
    const paused = await changeover(fleet, 'pause', 'wealth', '--by', 'ann');
    expect(paused.code, paused.err).toBe(0);
    const again = await changeover(fleet, 'start', file);
    expect(again).toMatchObject({ code: 3, err: expect.stringContaining('runs already') });
    const other = await runByTemporal('another-upgrade', file);
    expect(other).toMatchObject({ status: 'FAILED', message: expect.stringContaining('upgrade-wealth') });

    await held.release();
    const shown = await changeover(fleet, 'status', 'wealth', '--json');
    const { status } = JSON.parse(shown.out) as { status: UpgradeStatus };
    expect(status).toMatchObject({ phase: 'draining', paused: { by: 'ann' }, outcome: null });
    expect((await changeover(fleet, 'pause', 'wealth', '--by', 'ann')).code).toBe(3);
    expect((await changeover(fleet, 'resume', 'wealth', '--by', 'ann')).code).toBe(0);
    await awaitPhase(fleet, 'trial');
    await fleet.handle.signal(abortSignal, { by: 'ann', reason: 'enough seen' });
    await expectRolledBack();
  });

  test('who starts a wrong plan gets all its problems, from the command line and from Temporal alike', async () => {
    const good = plan();
    const wrong = {
      ...good,
      servise: 'wealth',
      deployment: {},
      clusters: { ...good.clusters, blue: { servers: [] } },
    };
    const file = await writePlan('wrong.json', wrong);
    const started = await changeover(fleet, 'start', file);
    expect(started.code).toBe(2);
    const run = await runByTemporal('wrong-upgrade', file);
    expect(run.status).toBe('FAILED');
    for (const word of ['servise', 'deployment', 'clusters.blue.servers']) {
      expect(started.err).toContain(word);
      expect(run.message).toContain(word);
    }
  });

  test('of all this the clients saw nothing', async () => {
    // The last word has the upgrade that ended last: everything is where it was.
    const report = await awaitReport(fleet);
    await assertSound({ fleet, report, watch: up.watch, load: [await up.load.stop()] });
  });
});

/** A run that fails, started with no code of ours: how it ended, and what it says. */
async function runByTemporal(id: string, file: string): Promise<{ status: string; message: string }> {
  const run = ['--workflow-id', id];
  const started = await temporal(
    fleet,
    ...['workflow', 'start', '--type', 'upgradeWorkflow', '--task-queue', 'changeover', ...run],
    ...['--input-file', file],
  );
  expect(started.code, started.err).toBe(0);
  const result = await temporal(fleet, 'workflow', 'result', ...run, '--output', 'json');
  const { status, closeEvent } = JSON.parse(result.out) as {
    status: string;
    closeEvent: { workflowExecutionFailedEventAttributes: { failure: { message: string } } };
  };
  return { status, message: closeEvent.workflowExecutionFailedEventAttributes.failure.message };
}
