import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { MetricsSource } from '../../src/ports/metrics-source.ts';
import * as messages from '../../src/workflows/messages.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import { startTemporalBench, type TemporalBench } from './temporal-bench.ts';

/** The greatest efficacy, by what a source says that somebody else runs. */
let bench: TemporalBench;
beforeAll(async () => {
  bench = await startTemporalBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

function greatestBySource(): PlanInput {
  const plan = examplePlanInput({
    trial: { stages: [{ share: '50%', length: '2s' }], readEvery: '300ms' },
    decision: { rule: 'max-efficacy' },
  });
  return { ...plan, measure: { ...plan.measure, source: { from: 'http', url: 'https://m.example.com/' } } };
}

/** `nOf`: units of a version, by how often the source was read. */
function sourceWith(nOf: (reading: number) => number): MetricsSource {
  let readings = 0;
  return {
    delayMs: null,
    read: ({ arms }) => {
      const n = nOf((readings += 1));
      const rates = arms.map((arm) => [arm, { n, sum: n * (arm === '2.0-a' ? 0.5 : 0.2) }] as const);
      return Promise.resolve({ at: new Date().toISOString(), arms: Object.fromEntries(rates), notes: [] });
    },
  };
}

test('a source that begins to count anew is named, and nothing is decided by it', async () => {
  const source = sourceWith((reading) => (reading < 4 ? 1_000 * reading : 100));
  await using run = await bench.upgrade(greatestBySource(), (world) => {
    world.metrics = () => source;
  });
  const { phase, problems } = await run.until((status) => status.problems.length > 0);
  expect(phase).toBe('trial');
  expect(problems).toMatchObject([
    {
      code: 'MetricsUnusable',
      message: expect.stringMatching(/^.*units of version .* went from 3000 to 100; .*never fall/) as unknown,
    },
  ]);
  await run.handle.signal(messages.abortSignal, { by: 'test', reason: 'the source fell' });
  await run.handle.result();
});

test('units that are no whole number are compared as they are', async () => {
  const source = sourceWith((reading) => 1_000.5 * reading);
  await using run = await bench.upgrade(greatestBySource(), (world) => {
    world.metrics = () => source;
  });
  const { verdict, problems } = await run.until(({ phase }) => phase === 'awaitingApproval');
  expect(problems).toEqual([]);
  expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  await run.handle.signal(messages.abortSignal, { by: 'test', reason: 'seen' });
  await run.handle.result();
});
