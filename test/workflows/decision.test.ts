import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { recordedVerdicts, type RecordedVerdict } from '../../src/cli/recorded-decisions.ts';
import type { NumberedBlock } from '../../src/protocol/controller.ts';
import { renderReport } from '../../src/domain/report/markdown.ts';
import type { UpgradeStatus } from '../../src/domain/upgrade/status.ts';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import type { InMemoryWorld } from '../support/in-memory-world.ts';
import { startTemporalBench, type RunningUpgrade, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

/** A stage that only a decision ends within the test. */
const untilDecided = {
  trial: { stages: [{ share: '90%', length: '10m' }], readEvery: '100ms', baselineShare: '10%' },
};

/** Each age group is given mostly one of the candidates. */
const BY_AGE = {
  kind: 'range' as const,
  rules: [
    { below: 35, to: { '2.0-a': 9, '2.0-b': 1 } },
    { from: 35, to: { '2.0-a': 1, '2.0-b': 9 } },
  ],
};

function byAge(decision: PlanInput['decision']): PlanInput {
  const { traffic, ...rest } = examplePlanInput({ ...untilDecided, ...(decision && { decision }) });
  const key = { ...traffic.key, lookup: 'ages.csv' };
  return { ...rest, traffic: { ...traffic, key, policy: BY_AGE } };
}

describe('the rule anytime in a run', () => {
  test('a winner by evidence ends the trial early, and the history proves it block by block (invariant 8)', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime', epsilon: '1%' } });
    await using run = await bench.upgrade(plan);
    const status = await run.until(({ phase }) => phase === 'awaitingApproval');
    expect(status.verdict).toMatchObject({ rule: 'anytime', kind: 'winner', winner: '2.0-a' });
    await run.handle.signal(messages.approveSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });

    const verdicts = recordedVerdicts(await run.handle.fetchHistory());
    expect(verdicts.length).toBeGreaterThan(1);
    expect(
      verdicts.filter(({ rules, agrees, differs }) => rules !== 'same' || !agrees || differs.length > 0),
    ).toEqual([]);
    expect(verdicts.map(({ recorded }) => recorded.kind)).toContain('winner');
  });

  test('groups that are dealt at random are compared one by one, and name a winner that their sums would not', async () => {
    await using run = await bench.upgrade(byAge({ rule: 'anytime', epsilon: '1%' }), (world) => {
      world.blockLog.groupsOf = (): NumberedBlock['groups'] => ({
        'range:..35': {
          '1.4': { n: 1000, sum: 40 },
          '2.0-a': { n: 900, sum: 90 },
          '2.0-b': { n: 100, sum: 5 },
        },
        'range:35..': {
          '1.4': { n: 1000, sum: 350 },
          '2.0-a': { n: 100, sum: 45 },
          '2.0-b': { n: 900, sum: 360 },
        },
      });
    });
    const { verdict, routes } = await run.until(({ phase }) => phase === 'awaitingApproval');
    expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
    expect(verdict?.sentence).toContain('by groups');
    expect(routes.mode).toBe('trial');
    expect((await run.handle.query(messages.routesQuery)).split?.policy).toEqual(BY_AGE);
    await run.handle.signal(messages.approveSignal, { by: 'anna' });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });
    expect(renderReport(report)).toContain('Accounts were dealt at random inside each group');
    await agreeingVerdicts(run);
  });

  test('a candidate that is beaten gets no more traffic while the others go on', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime' } });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.5, '2.0-a': 0.5, '2.0-b': 0.1 };
    });
    await run.until(({ routes, phase }) => phase === 'trial' && routes.applied && isOut(run, '2.0-b'));
    const routes = await run.handle.query(messages.routesQuery);
    expect(routes.split?.pulled).toEqual(['2.0-b']);
    const timeline = await run.handle.query(messages.timelineQuery);
    expect(timeline.map(({ what }) => what).join('\n')).toContain('2.0-b is out: beaten by');
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rolledBack' });
  });

  test('a candidate whose conqueror is pulled gets its traffic again', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime' } });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.4, '2.0-a': 0.5, '2.0-b': 0.3 };
      world.isDeaf = (_, { split }) => {
        if (split?.pulled.includes('2.0-b') === true) pull(world, '2.0-a');
        return false;
      };
    });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', decision: { verdict: { kind: 'keepBaseline' } } });
    const timeline = await run.handle.query(messages.timelineQuery);
    const told = timeline.map(({ what }) => what);
    expect(told).toContain('2.0-b is tried on: what had beaten it was pulled (2.0-a)');
    expect(told).toContain('Taking candidates into the trial again: 2.0-b');
    // Beaten at last by the baseline: out again.
    expect(told.filter((what) => what.startsWith('2.0-b is out: beaten by'))).toHaveLength(2);
    await agreeingVerdicts(run);
  });

  test('a winner that is pulled before it is approved leaves the rest of the trial to the others', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime' } });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.2, '2.0-a': 0.8, '2.0-b': 0.6 };
    });
    await run.until(({ phase }) => phase === 'awaitingApproval');
    pull(run.world, '2.0-a');
    const status = await run.until(
      ({ phase, verdict }) => phase === 'awaitingApproval' && isFor(verdict, '2.0-b'),
    );
    expect(status.trial.pulled).toEqual({ '2.0-a': 'errors 12 %' });
    await run.handle.signal(messages.approveSignal, { by: 'anna' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-b' });
  });

  test('the deadline goes by the trial’s own clock, which a pause stops, and not by that of the blocks', async () => {
    const plan = examplePlanInput({
      trial: { stages: [{ share: '90%', length: '1s' }], readEvery: '100ms', baselineShare: '10%' },
      decision: { rule: 'anytime', deadline: '2s' },
    });
    // In this world each block is a second long.
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.5, '2.0-a': 0.5, '2.0-b': 0.5 };
    });
    const { verdict } = await run.until(({ trial }) => trial.readings >= 4);
    expect(verdict?.kind).toBe('collecting');
    const status = await run.until(({ phase }) => phase === 'awaitingDecision');
    expect(status.verdict).toMatchObject({ kind: 'inconclusive', reason: 'deadline' });
    await run.handle.signal(messages.extendSignal, { by: 'anna', length: '500ms' });
    await run.until(({ phase }) => phase === 'trial');
    await run.until(({ phase }) => phase === 'awaitingDecision');
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
    await run.handle.result();
  });

  test.each(['minDuration', 'everyFull'])(
    '%s may be as long as the trial: the last reading decides, though the blocks lag behind',
    async (field) => {
      const plan = examplePlanInput({
        trial: { stages: [{ share: '90%', length: '500ms' }], readEvery: '100ms', baselineShare: '10%' },
        decision: { rule: 'anytime', [field]: '500ms' },
      });
      await using run = await bench.upgrade(plan, (world) => {
        world.blockLog.lengthMs = 1;
      });
      const { verdict } = await run.until(({ phase }) => phase.startsWith('awaiting'));
      expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
      const verdicts = recordedVerdicts(await run.handle.fetchHistory());
      expect(verdicts.filter(({ agrees, differs }) => !agrees || differs.length > 0)).toEqual([]);
      expect(verdicts.filter(({ recorded }) => recorded.kind === 'winner')).toHaveLength(1);
      await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
      await run.handle.result();
    },
  );

  test('who is in front gets the share that the plan gives to a leader', async () => {
    const { traffic, ...rest } = examplePlanInput({
      ...untilDecided,
      decision: { rule: 'anytime', leaderShare: '60%' },
    });
    const policy = { kind: 'hash' as const, weights: { '2.0-a': 1, '2.0-b': 1 } };
    await using run = await bench.upgrade({ ...rest, traffic: { ...traffic, policy } }, (world) => {
      world.rates = { '1.4': 0.5, '2.0-a': 0.5, '2.0-b': 0.55 };
    });
    await run.until(({ routes, trial }) => routes.applied && trial.readings > 1);
    const { split } = await run.handle.query(messages.routesQuery);
    expect(split?.policy).toMatchObject({
      kind: 'hash',
      weights: { '2.0-a': expect.closeTo(0.8), '2.0-b': expect.closeTo(1.2) },
    });
    expect(run.world.table.split?.policy).toEqual(split?.policy);
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
    await run.handle.result();
  });

  test('who is in front of all groups together gets that share in each group that is dealt at random', async () => {
    await using run = await bench.upgrade(byAge({ rule: 'anytime', leaderShare: '60%' }), (world) => {
      // The sums speak for 2.0-b, each group for 2.0-a.
      world.blockLog.groupsOf = (): NumberedBlock['groups'] => ({
        'range:..35': { '2.0-a': { n: 90, sum: 9 }, '2.0-b': { n: 10, sum: 1 } },
        'range:35..': { '2.0-a': { n: 10, sum: 4 }, '2.0-b': { n: 90, sum: 33 } },
      });
    });
    await run.until(({ routes, trial }) => routes.applied && trial.readings > 1);
    const { split } = await run.handle.query(messages.routesQuery);
    const led = { '2.0-a': expect.closeTo(6), '2.0-b': expect.closeTo(4) };
    expect(split?.policy).toMatchObject({ kind: 'range', rules: [{ to: led }, { to: led }] });
    expect(run.world.table.split?.policy).toEqual(split?.policy);
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
    await run.handle.result();
    await agreeingVerdicts(run);
  });

  test('no difference worth acting on keeps the baseline', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime', epsilon: '20%' } });
    await using run = await bench.upgrade(plan, (world) => {
      world.rates = { '1.4': 0.5, '2.0-a': 0.5, '2.0-b': 0.5 };
      world.movedPerReading = { '1.4': 3 };
    });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', decision: { verdict: { kind: 'equivalent' } } });
    // Who had no server is not left to be guessed.
    expect(renderReport(report)).toMatch(/Moved by failover: 1\.0 % of the requests \(\d+ to 1\.4\)/);
    await agreeingVerdicts(run);
  });

  /** Today's version on two clusters more. */
  const aaTest = (): PlanInput => {
    const { baseline, candidates, traffic, ...rest } = examplePlanInput({
      trial: { stages: [{ share: '90%', length: '1s' }], readEvery: '100ms', baselineShare: '10%' },
      decision: { rule: 'anytime', aaTest: true },
      approval: 'automatic',
    });
    const { version, packages } = baseline;
    const rules = [
      { tail: 'odd' as const, to: '1.4@blue' },
      { tail: 'even' as const, to: '1.4@green' },
    ];
    return {
      ...rest,
      baseline,
      candidates: candidates.map(({ mode }) => ({ mode, version, packages })),
      traffic: { ...traffic, policy: { kind: 'tail', rules } },
    };
  };

  test('an A/A test promotes nothing, and says that the measuring shows no difference', async () => {
    await using run = await bench.upgrade(aaTest(), (world) => {
      world.rates = { '1.4': 0.5, '1.4@blue': 0.5, '1.4@green': 0.5 };
    });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', winner: null, retired: [] });
    expect(report.decision.verdict?.sentence).toContain(
      'The measuring shows no difference between 1.4, 1.4@blue and 1.4@green',
    );
    expect(run.world.versions()).toEqual(new Set(['1.4']));
  });

  test('an A/A test that differs says that the measuring is wrong: the operator is asked', async () => {
    await using run = await bench.upgrade(aaTest(), (world) => {
      world.rates = { '1.4': 0.5, '1.4@blue': 0.5, '1.4@green': 0.1 };
    });
    const { verdict, can } = await run.until(({ phase }) => phase === 'awaitingDecision');
    expect(verdict).toMatchObject({ kind: 'untrustedData', reason: 'aaDifference' });
    expect(can).toContain('abort');
    await run.handle.signal(messages.approveSignal, { by: 'anna', candidate: '1.4@blue' });
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'look into the counters' });
    const report = await run.handle.result();
    expect(report).toMatchObject({ outcome: 'rolledBack', winner: null });
    expect(report.timeline.map(({ what }) => what).join('\n')).toContain('an A/A test promotes nothing');
  });

  test('a wrong split is no ground for a decision: the operator is asked', async () => {
    const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime' }, approval: 'automatic' });
    await using run = await bench.upgrade(plan, (world) => {
      world.shares = { '1.4': 0.8, '2.0-a': 0.1, '2.0-b': 0.1 };
    });
    const status = await run.until(({ phase }) => phase === 'awaitingDecision');
    expect(status.verdict).toMatchObject({ kind: 'untrustedData', reason: 'sampleRatio' });
    await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'the split is wrong' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rolledBack' });
  });
});

test('a split that failover bent is not checked any more where nobody tells whose accounts went, and the verdict says so', async () => {
  const plan = examplePlanInput({ ...untilDecided, decision: { rule: 'anytime' } });
  await using run = await bench.upgrade(plan, (world) => {
    world.shares = { '1.4': 0.8, '2.0-a': 0.1, '2.0-b': 0.1 };
    world.movedPerReading = { '1.4': 30 };
  });
  const { verdict } = await run.until(({ phase }) => phase === 'awaitingApproval');
  expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  await run.handle.signal(messages.abortSignal, { by: 'anna', reason: 'seen enough' });
  expect(renderReport(await run.handle.result())).toContain(
    'The split was checked until requests were moved',
  );
  await agreeingVerdicts(run);
});

test('the greatest of amounts that the plan caps is shown with its interval, and follows from the history', async () => {
  const plan = examplePlanInput({
    measure: { volume: { kind: 'amount', amountHeader: 'x-amount', match: { method: 'POST' } } },
    decision: { rule: 'max-efficacy', cap: 50 },
  });
  await using run = await bench.upgrade(plan);
  const { verdict } = await run.until(({ phase }) => phase === 'awaitingApproval');
  expect(run.world.table.split?.counting).toMatchObject({ unit: 'request', cap: 50 });
  expect(verdict).toMatchObject({ rule: 'max-efficacy', kind: 'winner', winner: '2.0-a' });
  expect(verdict?.sentence).toMatch(
    /2\.0-a: [\d,.]+ of [\d,]+ = [\d.]+ per request \([\d.]+ per request to /,
  );
  await run.handle.signal(messages.approveSignal, { by: 'anna' });
  expect(await run.handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });
  const verdicts = await agreeingVerdicts(run);
  expect(verdicts.map(({ recorded }) => recorded.kind)).toContain('winner');
});

/** Every verdict that the history records; each follows from the numbers beside it, word for word. */
async function agreeingVerdicts({ handle }: RunningUpgrade): Promise<RecordedVerdict[]> {
  const verdicts = recordedVerdicts(await handle.fetchHistory());
  expect(
    verdicts.filter(({ rules, agrees, differs }) => rules !== 'same' || !agrees || differs.length > 0),
  ).toEqual([]);
  return verdicts;
}

function isOut(
  { world }: { world: { table: { split: { pulled: readonly string[] } | null } } },
  version: string,
) {
  return world.table.split?.pulled.includes(version) ?? false;
}

/** As the controller does when a guardrail fires. */
function pull(world: InMemoryWorld, release: string): void {
  const { split } = world.table;
  if (split === null || split.pulled.includes(release)) return;
  world.table = { ...world.table, split: { ...split, pulled: [...split.pulled, release] } };
  const at = new Date().toISOString();
  world.pulls = [...world.pulls, { release, reason: 'errors 12 %', at, tableVersion: world.table.version }];
}

function isFor(verdict: UpgradeStatus['verdict'], winner: string): boolean {
  return verdict?.kind === 'winner' && verdict.winner === winner;
}
