import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Verdict } from '../../../src/domain/decision/decision.ts';
import { ACTIONS } from '../../../src/domain/upgrade/actions.ts';
import { receive } from '../../../src/domain/upgrade/signals.ts';
import { completeStep } from '../../../src/domain/upgrade/complete-step.ts';
import { examplePlan } from './example-plan.ts';
import { SimulatedWorld } from './simulated-world.ts';

const AT = '2026-01-01T00:00:00.000Z';
const said = { arms: [], sentence: 'said' };
const winnerAtEnd = (final: boolean): Verdict =>
  final ? { ...said, kind: 'winner', winner: '2.0-a' } : { ...said, kind: 'collecting' };

describe('the order of an upgrade', () => {
  test('goes from the preflight to a trial, awaits the approval, and promotes the winner everywhere', () => {
    const world = new SimulatedWorld(examplePlan(), winnerAtEnd);
    while (world.state.phase !== 'awaitingApproval') world.take();
    expect(world.steps.slice(0, 8)).toEqual([
      'preflight',
      'closeIngress',
      'awaitDrain',
      'stageRoutes',
      'pushUpgradeParams',
      'reportReady',
      'collectMetrics',
      'applyRoutes:trial',
    ]);
    expect(world.table.mainRelease).toBe('1.4');
    world.state = receive(examplePlan(), world.state, 'approve', { by: 'anna' }, AT);
    world.run();
    expect(world.state.outcome).toBe('promoted');
    expect(new Set(world.software.values())).toEqual(new Set(['2.0-a']));
    expect(world.table).toMatchObject({ mainRelease: '2.0-a', split: null });
    expect(world.table.servers.every((server) => server.ingress === 'open')).toBe(true);
    expect(world.state.approval).toMatchObject({
      by: 'anna',
      candidate: '2.0-a',
      verdict: { kind: 'winner' },
    });
  });

  test('rolls back by itself when no candidate beats the baseline', () => {
    const world = new SimulatedWorld(examplePlan(), (final) => ({
      ...said,
      kind: final ? 'keepBaseline' : 'collecting',
    }));
    world.run();
    expect(world.state.outcome).toBe('rolledBack');
    expect(new Set(world.software.values())).toEqual(new Set(['1.4']));
    expect(world.table).toMatchObject({ mainRelease: '1.4', split: null });
  });

  test('takes candidate clusters server by server where the plan says rolling', () => {
    const plan = examplePlan({ drain: { manner: 'rolling', batch: 1 } });
    const world = new SimulatedWorld(plan, winnerAtEnd);
    while (world.state.phase !== 'trial') world.take();
    expect(world.steps.filter((step) => step === 'closeIngress')).toHaveLength(3);
  });

  const turnsOfPromotion = (began: { opensWithNext?: boolean }) => {
    const plan = examplePlan({ approval: 'automatic', promotion: { batch: 2 } });
    const world = new SimulatedWorld(plan, winnerAtEnd, began);
    world.run();
    expect(world.state.outcome).toBe('promoted');
    return world.steps
      .slice(world.steps.indexOf('promoteOptimal') + 1)
      .filter((step) => step.startsWith('closeIngress') || step.startsWith('applyRoutes'));
  };

  test('after the decision each batch takes business again by the table by which the next one leaves', () => {
    const between = 'closeIngress:opening';
    expect(turnsOfPromotion({})).toEqual(['closeIngress', between, between, between, 'applyRoutes:open']);
  });

  test('in a run of an earlier version each batch takes business again before the next one leaves', () => {
    expect(turnsOfPromotion({ opensWithNext: false })).toEqual(
      Array.from({ length: 4 }, () => ['closeIngress', 'applyRoutes:open']).flat(),
    );
  });

  test('what a worker of an earlier version did not open with the next batch is opened by itself (invariant 3)', () => {
    const plan = examplePlan({ approval: 'automatic', promotion: { batch: 1 } });
    const world = new SimulatedWorld(plan, winnerAtEnd);
    world.opensAlong = false;
    world.run();
    expect(world.state.outcome).toBe('promoted');
    expect(world.table.servers.every(({ ingress }) => ingress === 'open')).toBe(true);
  });

  test('a skipped server is left out, and the run asks before it ends without it', () => {
    const plan = examplePlan({ approval: 'automatic' });
    const world = new SimulatedWorld(plan, winnerAtEnd);
    world.take();
    world.state = receive(plan, world.state, 'skipServer', { by: 'anna', server: 'base-2' }, AT);
    world.run();
    expect(world.state).toMatchObject({ phase: 'awaitingOperator', outcome: null });
    expect(world.software.get('base-2')).toBe('1.4');
    world.state = receive(plan, world.state, 'resume', { by: 'anna' }, AT);
    world.run();
    expect(world.state.outcome).toBe('incomplete');
    expect(world.table.servers.map((server) => server.name)).not.toContain('base-2');
  });

  test('a skipped server that is tried again is upgraded after all', () => {
    const plan = examplePlan({ approval: 'automatic' });
    const world = new SimulatedWorld(plan, winnerAtEnd);
    world.take();
    world.state = receive(plan, world.state, 'skipServer', { by: 'anna', server: 'base-2' }, AT);
    world.run();
    world.state = receive(plan, world.state, 'retryServer', { by: 'anna', server: 'base-2' }, AT);
    world.run();
    expect(world.state.outcome).toBe('promoted');
    expect(world.software.get('base-2')).toBe('2.0-a');
  });

  test('an inconclusive trial waits for the operator, who may extend it or name a candidate', () => {
    const plan = examplePlan();
    let kind: 'inconclusive' | 'winner' = 'inconclusive';
    const world = new SimulatedWorld(plan, (final) => {
      if (!final) return { ...said, kind: 'collecting' };
      return kind === 'winner' ? { ...said, kind, winner: '2.0-a' } : { ...said, kind, reason: 'tie' };
    });
    while (world.state.phase !== 'awaitingDecision') world.take();
    world.state = receive(plan, world.state, 'approve', { by: 'anna' }, AT);
    expect(world.state.goal).toBe('trial');
    expect(world.state.timeline.at(-1)?.what).toContain('name a candidate: 2.0-a, 2.0-b');
    kind = 'winner';
    world.state = receive(plan, world.state, 'extend', { by: 'anna', length: '2s' }, AT);
    world.take();
    expect(world.state.phase).toBe('trial');
    while (world.state.phase !== 'awaitingApproval') world.take();
    world.state = receive(plan, world.state, 'approve', { by: 'anna', candidate: '2.0-b' }, AT);
    world.run();
    expect(new Set(world.software.values())).toEqual(new Set(['2.0-b']));
  });
});

describe('whatever happens, in whatever order', () => {
  const servers = Object.values(examplePlan().clusters).flatMap((cluster) =>
    cluster.servers.map(({ name }) => name),
  );
  const event = fc.oneof(
    { weight: 6, arbitrary: fc.constant({ kind: 'step' as const }) },
    // The worker dies before the act, or right after it, without the run being told.
    { weight: 1, arbitrary: fc.constant({ kind: 'lostBefore' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'lostAfter' as const }) },
    // An operator's signal, between steps or while one is under way (whose effect may have happened).
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('signal' as const),
        action: fc.constantFrom(...ACTIONS),
        server: fc.constantFrom(...servers),
        candidate: fc.constantFrom('2.0-a', '2.0-b', '9.9', undefined),
        during: fc.constantFrom('between', 'before', 'after', 'done'),
      }),
    },
  );

  test.each(['together', 'rolling'] as const)(
    'the invariants 1, 2, 3 and 6 hold and the run reaches an end (drain %s)',
    (manner) => {
      const gateways = ['edge-1', 'edge-2'].map((name) => ({ name, admin: `http://${name}:7080` }));
      const plan = examplePlan({ drain: { manner, batch: 2 }, gateways });
      fc.assert(
        fc.property(fc.array(event, { maxLength: 60 }), (events) => {
          const world = new SimulatedWorld(plan, winnerAtEnd);
          for (const one of events) {
            if (one.kind === 'step') world.take();
            else if (one.kind === 'lostBefore') world.begin();
            else if (one.kind === 'lostAfter') world.effect(world.begin());
            else {
              const step = one.during === 'between' ? undefined : world.begin();
              const done = step === undefined || one.during === 'before' ? undefined : world.effect(step);
              const payload = {
                by: 'anna',
                reason: 'because',
                server: one.server,
                gateway: 'edge-2',
                length: '1s',
                ...(one.candidate === undefined ? {} : { candidate: one.candidate }),
              };
              world.state = receive(plan, world.state, one.action, payload, AT);
              if (step !== undefined && done !== undefined && one.during === 'done') {
                world.state = completeStep(plan, world.state, step, done, { at: AT, overtaken: true });
              }
            }
          }
          bringToAnEnd(world, plan);
          const running = new Set(world.table.servers.map(({ name }) => world.software.get(name)));
          expect(world.state.phase).toBe('done');
          expect(running.size).toBe(1);
          expect(running).toEqual(
            new Set([world.state.outcome === 'promoted' ? world.state.winner : [...running][0]]),
          );
          expect(world.table.split).toBeNull();
          expect(world.table.servers.every((server) => server.ingress === 'open')).toBe(true);
          expect([...running][0]).toBe(world.table.mainRelease);
          if (world.table.servers.length < servers.length) expect(world.state.outcome).toBe('incomplete');
        }),
        { numRuns: 300 },
      );
    },
  );

  /** An operator who mends what is to be mended: resumes, tries servers again, approves. */
  function bringToAnEnd(world: SimulatedWorld, plan: ReturnType<typeof examplePlan>): void {
    for (let round = 0; round < 300 && world.state.phase !== 'done'; round += 1) {
      const signal = (action: (typeof ACTIONS)[number], payload: object = {}) => {
        world.state = receive(plan, world.state, action, { by: 'anna', ...payload }, AT);
      };
      if (world.state.paused !== null) signal('resume');
      if (world.state.phase === 'awaitingApproval') signal('approve');
      if (world.state.phase === 'awaitingOperator') {
        for (const name of servers)
          if (world.state.servers[name]?.stage === 'out') signal('retryServer', { server: name });
      }
      world.take();
    }
  }
});
