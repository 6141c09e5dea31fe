import { expect, test } from 'vitest';
import { BASELINE, STATIC_HOME } from '../../demo/packages.ts';
import type { Phase } from '../../src/domain/upgrade/phase.ts';
import { approveSignal } from '../../src/workflows/messages.ts';
import { createApiGate, type CallPattern } from './support/api-gate.ts';
import { assertSound } from './support/sound-run.ts';
import { createFleetUnderLoad } from './support/fleet-under-load.ts';
import { shortPlan } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

/** A start that takes a while leaves time to kill the worker in the middle of it. */
const CANDIDATE = { ...STATIC_HOME, startDelayMs: 1_500 };

/** A call that a step makes to the flow controller: in the middle of it the worker is killed. */
const CALL_IN: readonly (readonly [Phase, CallPattern])[] = [
  ['preflight', { method: 'POST', path: /\/lock$/ }],
  ['closingIngress', { method: 'POST', path: /\/routes\/activate$/ }],
  ['draining', { method: 'POST', path: /\/load$/ }],
  ['staging', { method: 'POST', path: /\/routes\/stage$/ }],
  ['reportingReady', { method: 'POST', path: /\/ready$/ }],
  ['applyingRoutes', { method: 'PUT', path: /\/guardrails$/ }],
];
const PROMOTING: CallPattern = { method: 'POST', path: /\/routes\/activate$/ };
const FINISHING: CallPattern = { method: 'DELETE', path: /\/lock$/ };

test('a worker that is killed in every phase loses nothing, and its late calls change nothing', async () => {
  await using gate = await createApiGate();
  await using up = await createFleetUnderLoad({
    clusters: { main: 2, blue: 2 },
    candidates: [CANDIDATE],
    workerEnv: { CHANGEOVER_CONTROLLER_URL: gate.url },
  });
  const { fleet, watch, load } = up;
  gate.forwardTo(fleet.controller.url);

  const killedIn: Phase[] = [];
  const late: (() => Promise<readonly number[]>)[] = [];
  async function killWorker(phase: Phase, meanwhile?: () => Promise<void>): Promise<void> {
    await fleet.worker.kill('SIGKILL');
    await meanwhile?.();
    await fleet.worker.start();
    killedIn.push(phase);
  }
  /** Kills it while its call is on the way; the call itself arrives much later. */
  async function killInCall(phase: Phase, held: ReturnType<typeof gate.hold>): Promise<void> {
    await awaitPhase(fleet, phase);
    await held.reached(`a call in phase ${phase}`);
    held.letPass();
    late.push(() => held.release());
    await killWorker(phase);
  }

  let next = gate.hold(CALL_IN[0]![1]);
  await fleet.start(shortPlan(fleet, { baseline: BASELINE, candidates: [CANDIDATE] }));
  for (const [index, [phase]] of CALL_IN.entries()) {
    const held = next;
    if (phase === 'reportingReady') {
      await awaitPhase(fleet, 'deploying');
      await killWorker('deploying');
    }
    await awaitPhase(fleet, phase);
    await held.reached(`a call in phase ${phase}`);
    const following = CALL_IN[index + 1];
    if (following !== undefined) next = gate.hold(following[1]);
    await killInCall(phase, held);
  }
  await awaitPhase(fleet, 'trial');
  await killWorker('trial');
  await awaitPhase(fleet, 'awaitingApproval');

  // Long after their steps: whoever made these calls was fenced off, or they have the effect of once (invariants 4, 9).
  const before = await fleet.registry.status(fleet.service);
  const answers = (await Promise.all(late.splice(0).map((release) => release()))).flat();
  const after = await fleet.registry.status(fleet.service);
  expect(answers).toHaveLength(CALL_IN.length);
  expect(after).toMatchObject({ active: before.active, lock: before.lock });

  const promotion = gate.hold(PROMOTING);
  const finish = gate.hold(FINISHING);
  // The operator approves while nobody is there to hear it.
  await killWorker('awaitingApproval', () => fleet.handle.signal(approveSignal, { by: 'ann' }));
  await killInCall('promoting', promotion);
  await awaitStatus(fleet, 'a server of the baseline cluster is changed', ({ servers }) =>
    servers.some(({ cluster, stage }) => cluster === 'main' && stage === 'changing'),
  );
  await killWorker('promoting');
  await killInCall('finishing', finish);
  const report = await awaitReport(fleet);
  await Promise.all(late.splice(0).map((release) => release()));

  expect(killedIn).toEqual([
    ...['preflight', 'closingIngress', 'draining', 'staging', 'deploying', 'reportingReady'],
    ...['applyingRoutes', 'trial', 'awaitingApproval', 'promoting', 'promoting', 'finishing'],
  ]);
  expect(report).toMatchObject({ outcome: 'promoted', winner: CANDIDATE.version });
  const summary = await load.stop();
  await assertSound({ fleet, report, watch, load: [summary] });
});
