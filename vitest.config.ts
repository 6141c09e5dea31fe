import { defineConfig } from 'vitest/config';

/** Where `.ci/run` wants the record from which it counts. */
const record = process.env.CHANGEOVER_TEST_RECORD;

/** On a build server a test may be starved by its neighbours: it gets a second try, and the summary says that it did. */
const retry = process.env.CI === undefined ? 0 : 1;

/** Tests wait for sockets and processes more than they compute: on two cores two files at once take half the time. */
const CORES = '100%';

export default defineConfig({
  test: {
    reporters: record === undefined ? ['default'] : ['default', ['json', { outputFile: record }]],
    // One group after the other: what measures or kills real processes should not share the machine with the rest.
    projects: [
      {
        test: {
          name: 'unit',
          retry,
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/workflows/**', 'test/house/**'],
          maxWorkers: CORES,
          sequence: { groupOrder: 0 },
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'house',
          retry,
          include: ['test/house/**/*.test.ts'],
          maxWorkers: CORES,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'workflows',
          retry,
          sequence: { groupOrder: 2 },
          include: ['test/workflows/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          maxWorkers: CORES,
        },
      },
      {
        test: {
          name: 'e2e',
          retry,
          sequence: { groupOrder: 3 },
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/build.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
