import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import type { InMemoryWorld } from '../support/in-memory-world.ts';
import { quick } from './quick-trial.ts';
import { startTemporalBench, type RunningUpgrade, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

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
