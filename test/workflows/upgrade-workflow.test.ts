import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import type { upgradeWorkflow } from '../../src/workflows/index.ts';
import type { InMemoryWorld } from '../support/in-memory-world.ts';
import { startTemporalBench, type RunningUpgrade, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

const quick = {
  trial: {
    stages: [
      { share: '50%', length: '500ms' },
      { share: '100%', length: '1s' },
    ],
    readEvery: '250ms',
    minSamples: 10,
  },
};

describe('an upgrade', () => {
  test('awaits the approval and promotes the winner everywhere (invariant 6)', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick));
    const status = await run.until(({ phase }) => phase === 'awaitingApproval');
    expect(status.verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
    expect(status.can).toContain('approve');
    await run.handle.signal(messages.approveSignal, { by: 'anna', comment: 'looks right' });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'promoted', winner: '2.0-a', retired: ['1.4', '2.0-b'] });
    expect(report.decision.approval).toMatchObject({ by: 'anna', comment: 'looks right' });
    expect(run.world.versions()).toEqual(new Set(['2.0-a']));
    expect(run.world.lockedBy).toBeUndefined();
    expect(run.world.reports).toHaveLength(1);
  });

  test('is found by its search attributes', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }));
    await run.handle.result();
    const { typedSearchAttributes } = await run.handle.describe();
    expect(typedSearchAttributes.get(messages.SERVICE_ATTRIBUTE)).toBe('wealth');
    expect(typedSearchAttributes.get(messages.PHASE_ATTRIBUTE)).toBe('done');
    expect(typedSearchAttributes.get(messages.CANDIDATES_ATTRIBUTE)).toEqual(['2.0-a', '2.0-b']);
    expect(typedSearchAttributes.get(messages.OUTCOME_ATTRIBUTE)).toBe('promoted');
  });

  test('answers its queries after it has ended', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }));
    await run.handle.result();
    const efficacy = await run.handle.query(messages.efficacyQuery);
    expect(efficacy.arms.map(({ version }) => version)).toEqual(['1.4', '2.0-a', '2.0-b']);
    const timeline = await run.handle.query(messages.timelineQuery);
    expect(timeline.map(({ what }) => what).join('\n')).toContain('Promoting 2.0-a');
    expect(await run.handle.query(messages.routesQuery)).toMatchObject({
      main: '2.0-a',
      split: null,
      applied: true,
    });
  });

  test('rolls back when the candidates do not beat the baseline', async () => {
    const plan = examplePlanInput({ trial: { ...quick.trial, baselineShare: '10%' } });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.5, '2.0-a': 0.3, '2.0-b': 0.1 };
    });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', winner: null });
    expect(run.world.versions()).toEqual(new Set(['1.4']));
  });

  test('goes back when a guardrail pulled the last candidate, and goes on with the others before that', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => {
      world.pulls = [
        { release: '2.0-a', at: new Date().toISOString(), reason: 'errors 40 %', tableVersion: 9 },
      ];
    });
    const status = await run.until(({ phase }) => phase === 'awaitingApproval');
    expect(status.trial.pulled).toEqual({ '2.0-a': 'errors 40 %' });
    expect(status.verdict).toMatchObject({ kind: 'winner', winner: '2.0-b' });
    run.world.pulls = [
      ...run.world.pulls,
      { release: '2.0-b', at: new Date().toISOString(), reason: 'errors 30 %', tableVersion: 10 },
    ];
    const report = await run.handle.result();
    expect(report.outcome).toBe('rolledBack');
  });
});

describe('what is wrong with the input', () => {
  test('fails the run at once with all problems, and changes nothing', async () => {
    const plan = examplePlanInput({ deployment: { 'static-home': 'blue', 'floating-second': 'blue' } });
    await using run = await bench.upgrade(examplePlanInput(quick));
    await run.handle.terminate();
    const handle = await bench.temporal.client.workflow.start('upgradeWorkflow', {
      workflowId: 'upgrade-wrong',
      taskQueue: (await run.handle.describe()).taskQueue,
      args: [plan],
    });
    const error: unknown = await handle.result().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkflowFailedError);
    const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
    expect(cause).toBeInstanceOf(ApplicationFailure);
    expect(cause).toMatchObject({ type: 'InvalidPlan', nonRetryable: true });
    expect(cause?.message).toContain('deployment');
  });

  test('a locked service refuses a second upgrade and names the first', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => {
      world.lockedBy = 'upgrade-other';
    });
    const error: unknown = await run.handle.result().catch((reason: unknown) => reason);
    expect(error instanceof WorkflowFailedError ? error.cause?.message : '').toContain('upgrade-other');
    expect(run.world.calls).toEqual(['acquire']);
  });

  test('a server that does not run the baseline ends the run with the lock released', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => {
      world.server('green-1').version = '1.3';
    });
    const error: unknown = await run.handle.result().catch((reason: unknown) => reason);
    expect(error instanceof WorkflowFailedError ? error.cause?.message : '').toContain('green-1 runs 1.3');
    expect(run.world.lockedBy).toBeUndefined();
  });
});

describe('a run that somebody terminated', () => {
  test('is reset to its last step and goes on from there', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }), (world) => {
      world.server('base-1').inFlight = 1;
    });
    await run.until(({ phase }) => phase === 'promoting');
    await run.handle.terminate('by mistake');
    const { workflowId, firstExecutionRunId: runId } = run.handle;
    const { events } = await run.handle.fetchHistory();
    const lastTask = events?.findLast((event) => event.workflowTaskCompletedEventAttributes != null);
    await bench.temporal.connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId, runId },
      workflowTaskFinishEventId: lastTask?.eventId ?? null,
      requestId: 'reset-1',
      reason: 'terminated by mistake',
    });
    run.world.server('base-1').inFlight = 0;
    const handle = bench.temporal.client.workflow.getHandle<typeof upgradeWorkflow>(workflowId);
    expect(await handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });
    expect(run.world.versions()).toEqual(new Set(['2.0-a']));
    expect(run.world.lockedBy).toBeUndefined();
  });
});

describe('a long trial', () => {
  test('continues as new with all that it knows, and its history stays small', async () => {
    const stages = [{ share: '100%', length: '20s' }];
    const plan = examplePlanInput({
      approval: 'automatic',
      trial: { stages, readEvery: '10ms', minSamples: 10 },
    });
    await using run = await bench.upgrade(plan);
    const report = await run.handle.result();
    const first = await bench.temporal.client.workflow
      .getHandle(run.handle.workflowId, run.handle.firstExecutionRunId)
      .describe();
    expect(first.status.name).toBe('CONTINUED_AS_NEW');
    expect(first.historyLength).toBeLessThan(5000);
    expect(report.outcome).toBe('promoted');
    expect(report.decision.efficacy.readings).toBeGreaterThan(600);
  });
});

describe('what an operator can mend', () => {
  test('a server that cannot start waits for the operator, is shown, and is tried again', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }), (world) => {
      world.server('blue-2').fault = { code: 'StartFailed', message: 'exited with 1: no such file' };
    });
    const { problems } = await run.until((status) => status.problems.length > 0);
    expect(problems).toMatchObject([{ where: 'server blue-2', code: 'StartFailed' }]);
    expect(problems[0]?.message).toContain('no such file');
    delete run.world.server('blue-2').fault;
    await run.handle.signal(messages.retryServerSignal, { by: 'anna', server: 'blue-2' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('an agent that is away is tried again by itself', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }), (world) => {
      world.server('blue-2').fault = { code: 'AgentUnreachable', message: 'connection refused' };
    });
    await run.until((status) => status.problems.some(({ code }) => code === 'AgentUnreachable'));
    delete run.world.server('blue-2').fault;
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('publishing goes on until every gateway has acknowledged, and shows who has not', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }), (world) => {
      world.isDeaf = () => true;
    });
    const { problems } = await run.until((status) => status.problems.length > 0);
    expect(problems).toMatchObject([{ where: 'gateway edge', code: 'RoutesNotAcknowledged' }]);
    run.world.isDeaf = () => false;
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a server that is skipped is left out; the run asks, and ends incomplete', async () => {
    await using run = await bench.upgrade(
      examplePlanInput({ ...quick, approval: 'automatic', minServing: 2 }),
      (world) => {
        world.server('blue-2').fault = { code: 'StartFailed', message: 'exited with 1' };
      },
    );
    await run.until((status) => status.problems.length > 0);
    await run.handle.signal(messages.skipServerSignal, { by: 'anna', server: 'blue-2' });
    const { step } = await run.until(({ phase }) => phase === 'awaitingOperator');
    expect(step.what).toContain('blue-2');
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'incomplete' });
  });
});

describe('faults that meet an operator', () => {
  const automatic = { ...quick, approval: 'automatic' } as const;

  test('an abort while the preflight waits for an agent ends rolled back, with the lock released', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => {
      world.server('blue-2').fault = { code: 'AgentUnreachable', message: 'connection refused' };
    });
    await run.until((status) => status.problems.length > 0);
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'not today' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rolledBack' });
    expect(run.world.lockedBy).toBeUndefined();
  });

  test('a drain whose seal is not acknowledged at once goes on sealing', async () => {
    await using run = await bench.upgrade(examplePlanInput(automatic), (world) => {
      world.isDeaf = (_gateway, table) => table.servers.some(({ ingress }) => ingress === 'closed');
    });
    await run.until(({ problems }) => problems.some(({ code }) => code === 'RoutesNotAcknowledged'));
    run.world.isDeaf = () => false;
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a package that came while the run was paused is used when it is resumed', async () => {
    await using run = await bench.upgrade(examplePlanInput(automatic), (world) => {
      world.server('blue-2').fault = { code: 'PackageMissing', message: 'no such file' };
    });
    const { problems } = await run.until((status) => status.problems.length > 0);
    await vi.waitUntil(() => run.world.server('blue-2').over.size > 1, { timeout: 30_000 });
    expect((await run.until(() => true)).problems).toEqual(problems);
    await run.handle.signal(messages.pauseSignal, { by: 'anna' });
    await run.until((status) => status.paused !== null);
    delete run.world.server('blue-2').fault;
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a server skipped because it is not healthy stays out, and the run says so', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...automatic, minServing: 2 }), (world) => {
      world.server('blue-2').healthy = false;
    });
    await run.until(({ problems }) => problems.some(({ code }) => code === 'ServersNotReady'));
    await run.handle.signal(messages.skipServerSignal, { by: 'anna', server: 'blue-2' });
    await run.until(({ phase }) => phase === 'awaitingOperator');
    const blue2 = run.world.table.servers.find(({ name }) => name === 'blue-2');
    expect(blue2?.ingress).toBe('closed');
    run.world.server('blue-2').healthy = true;
    await run.handle.signal(messages.retryServerSignal, { by: 'anna', server: 'blue-2' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a winner that a guardrail pulled is not promoted, though it was approved', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick));
    await run.until(({ phase }) => phase === 'awaitingApproval');
    await run.handle.signal(messages.pauseSignal, { by: 'anna' });
    await run.until((status) => status.paused !== null);
    run.world.pulls = [
      { release: '2.0-a', at: new Date().toISOString(), reason: 'errors 40 %', tableVersion: 9 },
    ];
    // Refused, where the last reading before the pause saw the pull already.
    await run.handle.signal(messages.approveSignal, { by: 'anna', candidate: '2.0-a' });
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    const status = await run.until(
      ({ phase, verdict }) =>
        phase === 'awaitingApproval' && verdict?.kind === 'winner' && verdict.winner === '2.0-b',
    );
    expect(status).toMatchObject({ phase: 'awaitingApproval', winner: null });
    expect(status.trial.pulled).toEqual({ '2.0-a': 'errors 40 %' });
  });

  test('a controller that is away is shown, whatever the step', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick));
    await run.until(({ phase }) => phase === 'awaitingApproval');
    run.world.controllerAway = true;
    await run.handle.signal(messages.approveSignal, { by: 'anna' });
    const { problems } = await run.until(
      (status) => status.phase === 'promoting' && status.problems.length > 0,
    );
    expect(problems).toMatchObject([{ where: 'flow controller', code: 'ControllerUnreachable' }]);
    run.world.controllerAway = false;
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });
});

describe('pausing, aborting, cancelling', () => {
  const phases = [
    'draining',
    'deploying',
    'applyingRoutes',
    'trial',
    'awaitingApproval',
    'promoting',
  ] as const;
  type HeldPhase = (typeof phases)[number];

  /** Makes the upgrade stay in a phase that would otherwise be over at once. */
  function hold(world: InMemoryWorld, phase: HeldPhase): void {
    if (phase === 'draining') world.server('blue-1').inFlight = 1;
    if (phase === 'applyingRoutes') world.isDeaf = (_gateway, table) => table.split !== null;
    if (phase === 'deploying') world.server('blue-1').fault = { code: 'StartFailed', message: 'no' };
    if (phase === 'promoting') world.server('base-1').inFlight = 1;
  }

  function letGo(world: InMemoryWorld): void {
    world.isDeaf = () => false;
    for (const server of world.servers.values()) {
      server.inFlight = 0;
      delete server.fault;
    }
  }

  async function reach(run: RunningUpgrade, phase: HeldPhase): Promise<void> {
    if (phase === 'promoting') {
      await run.until((status) => status.phase === 'awaitingApproval');
      await run.handle.signal(messages.approveSignal, { by: 'anna' });
    }
    await run.until((status) => status.phase === phase);
    if (phase === 'deploying') await run.until((status) => status.problems.length > 0);
  }

  test.each(phases)('abort in %s ends rolled back, with every server on the baseline', async (phase) => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => hold(world, phase));
    await reach(run, phase);
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'changed our mind' });
    letGo(run.world);
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', decision: { aborted: { by: 'anna' } } });
    expect(run.world.versions()).toEqual(new Set(['1.4']));
    expect(run.world.table).toMatchObject({ mainRelease: '1.4', split: null });
    expect(run.world.table.servers.every(({ ingress }) => ingress === 'open')).toBe(true);
  });

  test('cancelling the run from the Temporal UI means abort', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick));
    await run.until(({ phase }) => phase === 'trial');
    await run.handle.cancel();
    expect(await run.handle.result()).toMatchObject({ outcome: 'rolledBack' });
  });

  test.each(phases)('pause and resume in %s lose nothing', async (phase) => {
    await using run = await bench.upgrade(examplePlanInput(quick), (world) => hold(world, phase));
    await reach(run, phase);
    await run.handle.signal(messages.pauseSignal, { by: 'anna' });
    await run.until((status) => status.step.what === 'Waiting: paused by anna');
    letGo(run.world);
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    if (phase === 'deploying')
      await run.handle.signal(messages.retryServerSignal, { by: 'anna', server: 'blue-1' });
    if (phase !== 'promoting') {
      await run.until((status) => status.phase === 'awaitingApproval' && status.paused === null);
      await run.handle.signal(messages.approveSignal, { by: 'anna' });
    }
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a paused run holds still until it is resumed', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }));
    await run.until(({ phase }) => phase === 'trial');
    await run.handle.signal(messages.pauseSignal, { by: 'anna' });
    const paused = await run.until(
      (status) => status.paused !== null && status.step.what.startsWith('Waiting'),
    );
    expect(paused).toMatchObject({ phase: 'trial', paused: { by: 'anna' } });
    const calls = run.world.calls.length;
    expect((await run.handle.query(messages.statusQuery)).step).toEqual(paused.step);
    expect(run.world.calls).toHaveLength(calls);
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a signal that is not possible now is refused in the timeline and changes nothing', async () => {
    await using run = await bench.upgrade(examplePlanInput(quick));
    await run.until(({ phase }) => phase === 'trial');
    await run.handle.signal(messages.approveSignal, { by: 'anna' });
    await run.handle.signal('pause', 'not an object');
    const lines = (await run.handle.query(messages.timelineQuery)).map(({ what }) => what);
    expect(lines).toContainEqual(
      expect.stringContaining('Refused approve: approve is not possible in phase trial'),
    );
    expect(lines).toContainEqual(expect.stringContaining('Refused pause: the signal has no "by"'));
  });

  test('a drain past its deadline pauses the run, says what is left, and goes on when resumed', async () => {
    const plan = examplePlanInput({
      ...quick,
      approval: 'automatic',
      drain: { deadline: '300ms', atDeadline: 'pause' },
    });
    await using run = await bench.upgrade(plan, (world) => {
      world.server('blue-1').inFlight = 2;
    });
    const { paused } = await run.until((status) => status.paused !== null);
    expect(paused?.reason).toContain('2 on blue-1');
    run.world.server('blue-1').inFlight = 0;
    await run.handle.signal(messages.resumeSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });

  test('a drain that the plan wants forced records what was cut', async () => {
    const plan = examplePlanInput({
      ...quick,
      approval: 'automatic',
      drain: { deadline: '300ms', atDeadline: 'force' },
    });
    await using run = await bench.upgrade(plan, (world) => {
      world.server('blue-1').inFlight = 2;
    });
    const report = await run.handle.result();
    expect(report.forcedDrains).toMatchObject([{ server: 'blue-1', inFlight: 2 }]);
  });
});
