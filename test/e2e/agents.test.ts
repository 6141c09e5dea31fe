import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { until } from '../../demo/fleet/until.ts';
import type { LoadSummary } from '../../demo/load/summary.ts';
import { BASELINE, FLOATING_SECOND, STATIC_HOME, type BusinessRelease } from '../../demo/packages.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import { abortSignal } from '../../src/workflows/messages.ts';
import { changeover } from './support/commands.ts';
import { readRecords } from './support/business-records.ts';
import { assertConserved } from './support/conserved-counts.ts';
import { assertDecisionDerivable, assertUniform } from './support/end-state.ts';
import { createFleetUnderLoad, type FleetUnderLoad } from './support/fleet-under-load.ts';
import { assertNothingLost, assertOrderlyChange } from './support/invariants.ts';
import { shortPlan, startLoad } from './support/test-fleet.ts';
import { awaitPhase, awaitReport, awaitStatus } from './support/upgrade-waits.ts';

/** A start that takes a while leaves time to kill the agent in the middle of it. */
const SLOW_TO_START: BusinessRelease = { ...STATIC_HOME, startDelayMs: 1_500 };
const FAULTY: BusinessRelease = { ...FLOATING_SECOND, version: '2.0-e', errorRate: 0.5 };

let catalogues: string;
let picky: BusinessRelease;
let up: FleetUnderLoad;
let fleet: FleetUnderLoad['fleet'];
const summaries: LoadSummary[] = [];

beforeAll(async () => {
  catalogues = await mkdtemp(join(tmpdir(), 'changeover-catalogues-'));
  // Starts only where its file is: what an operator forgot, and mends.
  picky = { ...STATIC_HOME, version: '2.0-p', needsFile: join(catalogues, '{server}') };
  const config = { clusters: { main: 2, blue: 2 }, candidates: [SLOW_TO_START, picky, FAULTY] };
  up = await createFleetUnderLoad(config, { planOf: (fresh) => planFor(fresh, SLOW_TO_START) });
  fleet = up.fleet;
});
afterAll(async () => {
  await up[Symbol.asyncDispose]();
  await rm(catalogues, { recursive: true, force: true });
});

function planFor(of: Fleet, candidate: BusinessRelease, change: Partial<PlanInput> = {}): PlanInput {
  return shortPlan(of, { baseline: BASELINE, candidates: [candidate] }, change);
}

async function rolledBack(): Promise<UpgradeReport> {
  const report = await awaitReport(fleet);
  expect(report).toMatchObject({ outcome: 'rolledBack', forcedDrains: [] });
  await assertUniform(fleet, report, await readRecords(fleet));
  await assertDecisionDerivable(fleet, report);
  return report;
}

async function abort(): Promise<void> {
  await fleet.handle.signal(abortSignal, { by: 'ann', reason: 'the test has seen enough' });
}

/** Where something is wrong, and with what code. */
const wrongAt = ({ problems }: UpgradeStatus): string[] =>
  problems.map(({ where, code }) => `${where}: ${code}`).toSorted();

test('agents that die or hang in the middle of a change are shown, with the time, and go on when they are back', async () => {
  const [dying, hanging] = [fleet.server('blue-1').agent, fleet.server('blue-2').agent];
  await fleet.start(planFor(fleet, SLOW_TO_START));
  await awaitPhase(fleet, 'deploying');
  const killedAt = Date.now();
  await dying.kill('SIGKILL');
  await hanging.kill('SIGSTOP');
  const { problems } = await awaitStatus(fleet, 'both agents are missed', (status) => {
    return wrongAt(status).length === 2;
  });
  for (const { code, since, message } of problems) {
    expect(code).toBe('AgentUnreachable');
    expect(message).toContain('the agent of blue-');
    // Its clock is the one of this machine; a call that failed may have begun before.
    expect(Date.parse(since)).toBeGreaterThan(killedAt - 1_000);
  }
  await dying.start();
  await awaitStatus(fleet, 'only the hanging agent is missed', (status) => {
    return wrongAt(status).join() === 'server blue-2: AgentUnreachable';
  });
  await hanging.kill('SIGCONT');
  await awaitStatus(fleet, 'the trial, with no problem', (status) => {
    return status.phase === 'trial' && status.problems.length === 0;
  });
  await abort();
  await rolledBack();
});

test('a server that cannot start gets its old version back and is tried again or skipped by the operator', async () => {
  await fleet.start(planFor(fleet, picky));
  const { problems } = await awaitStatus(fleet, 'both servers cannot start', (status) => {
    return wrongAt(status).join() === 'server blue-1: StartFailed,server blue-2: StartFailed';
  });
  const [problem] = problems;
  expect(problem?.message).toContain(`${catalogues}/blue-`);
  const restored = await fleet.server('blue-1').status();
  expect(restored).toMatchObject({ runningVersion: '1.4', healthy: true });

  await writeFile(join(catalogues, 'blue-1'), '');
  const again = await changeover(fleet, 'retry-server', 'wealth', '--server', 'blue-1', '--by', 'ann');
  expect(again.code, again.err).toBe(0);
  await awaitStatus(fleet, 'blue-1 is mended', (status) => {
    return wrongAt(status).join() === 'server blue-2: StartFailed';
  });
  const skip = await changeover(fleet, 'skip-server', 'wealth', '--server', 'blue-2', '--by', 'ann');
  expect(skip.code, skip.err).toBe(0);
  const trial = await awaitPhase(fleet, 'trial');
  expect(trial.servers).toMatchObject([{}, {}, { stage: 'open', release: '2.0-p' }, { stage: 'out' }]);
  expect(trial.problems).toEqual([]);

  // A rollback is none while a server is left out: the run says which one, and waits (invariant 6).
  await abort();
  const waiting = await awaitPhase(fleet, 'awaitingOperator');
  expect(waiting).toMatchObject({ outcome: null, step: { what: expect.stringContaining('blue-2') } });
  const last = await changeover(fleet, 'retry-server', 'wealth', '--server', 'blue-2', '--by', 'ann');
  expect(last.code, last.err).toBe(0);
  await rolledBack();
});

test('through all of this no request was lost', async () => {
  const summary = await up.load.stop();
  summaries.push(summary);
  assertNothingLost(summary);
});

test('a candidate that fails is pulled by its guardrail although no worker is there, and the upgrade takes it back', async () => {
  // Transactions on it would break by its own fault, and say nothing of ours.
  await using own = await startLoad(fleet, { mix: { transaction: 0 }, seed: 5 });
  const plan = planFor(fleet, FAULTY, {
    trial: { stages: [{ share: '50%', length: '30s' }], readEvery: '500ms', minSamples: 5 },
    guardrails: { errorRate: { max: '5%', minRequests: 30 } },
  });
  await fleet.start(plan);
  await awaitPhase(fleet, 'trial');
  await fleet.worker.kill('SIGKILL');
  await until(
    'the controller pulls it by itself',
    async () => (await fleet.registry.status(fleet.service)).active.split?.pulled.includes('2.0-e') === true,
    { timeoutMs: 20_000 },
  );
  await fleet.worker.start();
  const report = await rolledBack();
  expect(report.decision).toMatchObject({
    aborted: null,
    verdict: { kind: 'pulled' },
    pulled: { '2.0-e': expect.stringMatching(/requests failed, allowed are 5 %/) },
  });
  const summary = await own.stop();
  summaries.push(summary);
  expect(summary.lostBy).toMatchObject({ network: 0, timeout: 0, gatewayError: 0 });
  expect(new Set(summary.losses.map(({ version }) => version))).toEqual(new Set(['2.0-e']));
});

test('and what servers and gateways recorded agrees with it', async () => {
  const records = await readRecords(fleet);
  assertOrderlyChange(records, up.watch.samples);
  await assertConserved(fleet, summaries);
  expect(fleet.unexpectedEnds).toEqual([]);
});
