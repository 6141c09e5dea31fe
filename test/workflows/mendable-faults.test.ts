import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import { quick } from './quick-trial.ts';
import { startTemporalBench, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

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

describe('gateways', () => {
  const gateways = ['edge-1', 'edge-2'].map((name) => ({ name, admin: `http://${name}:7080` }));
  const plan = examplePlanInput({ ...quick, approval: 'automatic', gateways });
  const excludes = { by: 'anna', gateway: 'edge-2', reason: 'its power is off' };

  test('one that stays away is shown, declared gone, and told to be back', async () => {
    await using run = await bench.upgrade(plan, (world) => {
      world.isDeaf = (gateway, table) => gateway === 'edge-2' && table.split !== null;
      world.server('base-1').inFlight = 1;
    });
    const { gateways: seen } = await run.until((status) => status.gateways?.laggards.length === 1);
    expect(seen).toMatchObject({ laggards: ['edge-2'], list: [{ name: 'edge-1' }, { name: 'edge-2' }] });
    await run.handle.signal(messages.excludeGatewaySignal, { ...excludes, gateway: 'edge-1' });
    await run.until(({ exclusions }) => exclusions.some(({ stands }) => stands === 'refused'));
    await run.handle.signal(messages.excludeGatewaySignal, excludes);
    await run.handle.signal(messages.excludeGatewaySignal, excludes);
    // While base-1 drains, the run waits; the last routes have shown the gateway to be back.
    await run.until(({ phase }) => phase === 'promoting');
    run.world.isDeaf = () => false;
    run.world.server('base-1').inFlight = 0;
    const report = await run.handle.result();
    expect(report).toMatchObject({
      outcome: 'promoted',
      exclusions: [
        { gateway: 'edge-1', stands: 'refused' },
        { gateway: 'edge-2', by: 'anna', reason: 'its power is off', stands: 'back' },
      ],
    });
    const lines = report.timeline.map(({ what }) => what);
    expect(lines).toContainEqual(expect.stringMatching(/^Excluded gateway edge-2/));
    expect(lines).toContainEqual(expect.stringMatching(/^Refused excludeGateway: edge-2 was declared gone/));
    expect(lines).toContainEqual(expect.stringMatching(/^Gateway edge-2 is back/));
    expect(run.world.calls.filter((call) => call === 'excludeGateway')).toHaveLength(2);
  });

  test('one that lacks the lookup file of the policy is shown before anything has changed', async () => {
    await using run = await bench.upgrade(plan, (world) => {
      world.lacking = { 'edge-2': 'The lookup file ages.csv cannot be used' };
    });
    const { problems, phase } = await run.until((status) => status.problems.length > 0);
    expect(phase).toBe('preflight');
    expect(problems).toMatchObject([{ where: 'gateway edge-2', code: 'RoutesNotExecutable' }]);
    expect(run.world.calls).not.toContain('activate');
    run.world.lacking = {};
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted' });
  });
});
