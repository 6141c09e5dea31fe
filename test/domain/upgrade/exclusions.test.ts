import { describe, expect, test } from 'vitest';
import type { GatewayStanding } from '../../../src/domain/gateway-standing.ts';
import { buildReport } from '../../../src/domain/report/report.ts';
import { renderReport } from '../../../src/domain/report/markdown.ts';
import { beginStep } from '../../../src/domain/upgrade/begin-step.ts';
import { completeStep } from '../../../src/domain/upgrade/complete-step.ts';
import { nextStep } from '../../../src/domain/upgrade/next-step.ts';
import { receive, withProblems } from '../../../src/domain/upgrade/signals.ts';
import type { UpgradeState } from '../../../src/domain/upgrade/state.ts';
import { statusOf } from '../../../src/domain/upgrade/status.ts';
import { examplePlan } from './example-plan.ts';
import { SimulatedWorld } from './simulated-world.ts';

const AT = '2026-01-01T00:00:00.000Z';
const plan = examplePlan({
  gateways: ['edge-1', 'edge-2'].map((name) => ({ name, admin: `http://${name}:7080` })),
});
const payload = { by: 'anna', gateway: 'edge-2', reason: 'switched off' };
const excluded = { by: 'anna', at: AT, reason: 'switched off', upgradeId: 'upgrade-1' };

function draining(): SimulatedWorld {
  const world = new SimulatedWorld(plan, () => ({ arms: [], sentence: 'said', kind: 'collecting' }));
  while (nextStep(plan, world.state).kind !== 'awaitDrain') world.take();
  world.begin();
  return world;
}

const exclude = (state: UpgradeState, change: object = {}) =>
  receive(plan, state, 'excludeGateway', { ...payload, ...change }, AT);

/** The exclusion carried out, with what the controller says of it. */
function carriedOut(state: UpgradeState, refused: string | null): UpgradeState {
  const step = nextStep(plan, state);
  const begun = beginStep(state, step, AT);
  return completeStep(
    plan,
    begun,
    step,
    { kind: 'excludeGateway', result: { refused } },
    { at: AT, overtaken: false },
  );
}

const standing = (name: string, change: Partial<GatewayStanding> = {}): GatewayStanding => ({
  ...{ name, acknowledged: 9, acknowledgedAt: AT, problem: null, problemSince: null },
  ...change,
});

const lastOf = (state: UpgradeState) => state.timeline.at(-1);

describe('a gateway that is declared gone', () => {
  test('is on record before the controller is told, and the step that waited goes on afterwards', () => {
    const { state } = draining();
    const wanted = exclude(state);
    expect(lastOf(wanted)).toMatchObject({ by: 'anna', what: 'Declaring gateway edge-2 gone: switched off' });
    expect(nextStep(plan, wanted)).toEqual({ kind: 'excludeGateway', at: AT, ...payload });
    const done = carriedOut(wanted, null);
    expect(lastOf(done)).toMatchObject({
      by: 'anna',
      what: expect.stringContaining('Excluded gateway edge-2'),
    });
    expect(done.phase).toBe(state.phase);
    expect(nextStep(plan, done)).toEqual(nextStep(plan, state));
    // Taken up again after a step in between, it has a number of its own: the controller takes no late one.
    expect(beginStep(done, nextStep(plan, done), AT).step.number).toBeGreaterThan(state.step.number);
  });

  test('is carried out while the run is paused, which stays paused', () => {
    const paused = receive(plan, draining().state, 'pause', { by: 'anna' }, AT);
    const done = carriedOut(exclude(paused), null);
    expect(nextStep(plan, done)).toMatchObject({ kind: 'wait', until: 'resumed' });
  });

  test('is told as refused where the controller finds it alive, and may be tried again', () => {
    const refused = carriedOut(exclude(draining().state), 'edge-2 is not gone: it answers');
    expect(lastOf(refused)?.what).toBe('Refused excludeGateway: edge-2 is not gone: it answers');
    expect(statusOf(plan, refused).exclusions).toMatchObject([{ gateway: 'edge-2', stands: 'refused' }]);
    expect(nextStep(plan, exclude(refused))).toMatchObject({ kind: 'excludeGateway' });
  });

  test.each([
    ['of an unknown name', (state: UpgradeState) => state, { gateway: 'edge-9' }, /no gateway edge-9/],
    ['without a reason', (state: UpgradeState) => state, { reason: ' ' }, /no "reason"/],
    ['a second time', (state: UpgradeState) => exclude(state), {}, /declared gone already, by anna/],
    [
      'a second time, when it is done',
      (state: UpgradeState) => carriedOut(exclude(state), null),
      {},
      /declared gone already, by anna/,
    ],
    [
      'though it is the last one',
      (state: UpgradeState) => exclude(state),
      { gateway: 'edge-1' },
      /only gateway that is left/,
    ],
    [
      'in the preflight',
      (state: UpgradeState): UpgradeState => ({ ...state, phase: 'preflight' }),
      {},
      /not possible in phase preflight/,
    ],
  ])('%s is refused, and changes nothing but the timeline', (_, before, change, why) => {
    const state = before(draining().state);
    const after = exclude(state, change);
    expect(lastOf(after)?.what).toMatch(why);
    expect({ ...after, timeline: [] }).toEqual({ ...state, timeline: [] });
  });

  test('is told to be back once it counts again, in the timeline, the status and the report', () => {
    const gone = carriedOut(exclude(draining().state), null);
    const step = nextStep(plan, gone);
    const finish = (list: readonly GatewayStanding[], state: UpgradeState) =>
      completeStep(
        plan,
        state,
        step,
        {
          kind: 'awaitDrain',
          result: { drained: true, version: 9, left: [], gateways: { wanted: 9, list } },
        },
        { at: AT, overtaken: false },
      );
    const away = finish([standing('edge-1'), standing('edge-2', { acknowledged: 2, excluded })], gone);
    expect(statusOf(plan, away).gateways).toMatchObject({ wanted: 9, laggards: [] });
    expect(exclude(away).timeline.at(-1)?.what).toContain('declared gone already');
    const back = finish([standing('edge-1'), standing('edge-2')], away);
    expect(lastOf(back)?.what).toBe('Gateway edge-2 is back, with route table 9: steps wait for it again');
    expect(finish([standing('edge-1'), standing('edge-2')], back).timeline).toEqual(back.timeline);
    const report = buildReport(plan, back, AT);
    expect(report.exclusions).toMatchObject([{ ...payload, stands: 'back' }]);
    expect(renderReport(report)).toContain(`edge-2: by anna at ${AT}: switched off (back since)`);
  });

  test('laggards are known as soon as a step tells of them, and by no late one', () => {
    const { state } = draining();
    const list = [standing('edge-1'), standing('edge-2', { acknowledged: 8, problem: 'ECONNREFUSED' })];
    const tell = (step: number) =>
      withProblems(state, { step, problems: [], gateways: { wanted: 9, list } }, AT);
    expect(statusOf(plan, tell(state.step.number)).gateways?.laggards).toEqual(['edge-2']);
    expect(tell(state.step.number - 1)).toBe(state);
  });
});

describe('a stage of the trial', () => {
  test('is the same one after its routes were interrupted, by a pause or by an exclusion', () => {
    const world = draining();
    const trial = { ...world.state.trial, base: {}, readings: 2, stage: 0 };
    const servers = Object.fromEntries(
      Object.entries(world.state.servers).map(([name, server]) => {
        const candidate = { blue: '2.0-a', green: '2.0-b' }[server.cluster];
        return [name, { ...server, stage: 'open' as const, release: candidate ?? server.release }];
      }),
    );
    const routes = { ...world.state.routes, mode: 'trial' as const, applied: true };
    const ended = { ...trial, stageElapsedMs: 2_000 };
    const state: UpgradeState = { ...world.state, servers, routes, trial: ended, phase: 'trial' };
    const step = nextStep(plan, state);
    expect(step).toMatchObject({ kind: 'applyRoutes', purpose: 'stage' });
    const begun = beginStep(state, step, AT);
    expect(begun.trial.stage).toBe(1);
    const interrupted = carriedOut(exclude(begun), null);
    expect(nextStep(plan, interrupted)).toEqual(step);
    expect(beginStep(interrupted, step, AT).trial.stage).toBe(1);
  });
});
