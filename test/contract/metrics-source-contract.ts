import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourceBlock, type MetricsReading } from '../../src/domain/decision/source-block.ts';
import type { MetricsSource } from '../../src/ports/metrics-source.ts';

/** A source that counts successes, and the hands of a test on what it counts. */
export interface MetricsWorld extends AsyncDisposable {
  readonly source: MetricsSource;
  /** When the trial began. */
  readonly since: string;
  /** Units that came to a version, and how many of them succeeded; adds to what was there. */
  count(version: string, counts: { units: number; successes: number }): Promise<void>;
}

const ARMS = ['1.4', '2.0-a'];

/** What every metrics source keeps to. One world for all: starting it takes seconds. */
export function metricsSourceContract(name: string, create: () => Promise<MetricsWorld>): void {
  describe(`the metrics source ${name}`, () => {
    let world: MetricsWorld;
    beforeAll(async () => {
      world = await create();
    }, 60_000);
    afterAll(() => world[Symbol.asyncDispose]());

    const read = (arms: readonly string[] = ARMS, signal?: AbortSignal): Promise<MetricsReading> =>
      world.source.read({ arms, since: world.since, until: new Date().toISOString() }, { signal });
    /** Sources see what happens a moment later. */
    const readUntil = async (wanted: MetricsReading['arms']): Promise<MetricsReading> => {
      let reading: MetricsReading | undefined;
      await expect
        .poll(async () => (reading = await read()).arms, { timeout: 15_000, interval: 100 })
        .toEqual(wanted);
      return reading!;
    };

    test('counts each version since the trial began, and blocks are what came between two readings', async () => {
      await world.count('1.4', { units: 50, successes: 5 });
      await world.count('2.0-a', { units: 40, successes: 10 });
      const first = await readUntil({ '1.4': { n: 50, sum: 5 }, '2.0-a': { n: 40, sum: 10 } });
      expect(Date.parse(first.at)).toBeGreaterThanOrEqual(Date.parse(world.since));
      await world.count('1.4', { units: 10, successes: 1 });
      await world.count('2.0-a', { units: 7, successes: 3 });
      const second = await readUntil({ '1.4': { n: 60, sum: 6 }, '2.0-a': { n: 47, sum: 13 } });
      expect(sourceBlock(first, second, { since: world.since })).toMatchObject({
        kind: 'block',
        block: {
          fromMs: Date.parse(first.at) - Date.parse(world.since),
          groups: { all: { '1.4': { n: 10, sum: 1 }, '2.0-a': { n: 7, sum: 3 } } },
        },
      });
    });

    test('reading again changes nothing', async () => {
      const [one, other] = [await read(), await read()];
      expect(other.arms).toEqual(one.arms);
    });

    test('a version of which there is nothing is named, and is no zero', async () => {
      await expect(read([...ARMS, '2.0-b'])).rejects.toMatchObject({
        code: 'MetricsUnusable',
        message: expect.stringMatching(/nothing of version 2\.0-b/) as unknown,
      });
    });

    test('a reading that is broken off ends with the reason of its signal', async () => {
      const reason = new Error('enough');
      await expect(read(ARMS, AbortSignal.abort(reason))).rejects.toBe(reason);
      const controller = new AbortController();
      const reading = read(ARMS, controller.signal);
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
    });
  });
}
