import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import type { upgradeWorkflow } from '../../src/workflows/index.ts';
import { quick } from './quick-trial.ts';
import { startTemporalBench, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

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

  test('stages the routes of the trial, and opens each batch after it without a step in between', async () => {
    await using run = await bench.upgrade(examplePlanInput({ ...quick, approval: 'automatic' }));
    await run.handle.result();
    const { events } = await run.handle.fetchHistory();
    const activities = (events ?? []).flatMap(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
    );
    expect(activities.filter((name) => name === 'stageRoutes')).toHaveLength(1);
    expect(activities.filter((name) => name === 'pushUpgradeParams').length).toBeGreaterThan(1);
    expect(run.world.versions()).toEqual(new Set(['2.0-a']));
  });

  test('opens each batch by the table by which the next one closes, and the last one by itself', async () => {
    const plan = examplePlanInput({ ...quick, approval: 'automatic', promotion: { batch: 2 } });
    await using run = await bench.upgrade(plan);
    await run.handle.result();
    const { events } = await run.handle.fetchHistory();
    const activities = (events ?? []).flatMap(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? [],
    );
    const promotion = activities.slice(activities.indexOf('promoteOptimal') + 1);
    const batch = ['closeIngress', 'awaitDrain', 'pushUpgradeParams', 'reportReady'];
    expect(promotion).toEqual([
      ...Array.from({ length: 4 }, () => batch).flat(),
      'applyRoutes',
      'finishUpgrade',
    ]);
    expect(run.world.versions()).toEqual(new Set(['2.0-a']));
    expect(run.world.table.servers.every(({ ingress }) => ingress === 'open')).toBe(true);
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
