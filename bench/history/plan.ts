import type { PlanInput } from '../../src/domain/plan/schema.ts';

export interface Size {
  readonly servers: number;
  readonly readings: number;
  /** Every server by itself: the longest history that a plan can ask for. */
  readonly oneByOne: boolean;
}

/** Time between two readings here; what is counted is events, not seconds. */
const READ_EVERY_MS = 10;
/** A reading takes a little longer than it waits; the trial is long enough to have all of them. */
const MARGIN = 1.3;

/** A plan with so many servers, a fifth of them in each of two candidate clusters, and a trial of so many readings. */
export function historyPlan({ servers, readings, oneByOne }: Size): PlanInput {
  const inCandidate = Math.max(1, Math.floor(servers / 5));
  const cluster = (name: string, count: number, port: number) => ({
    servers: Array.from({ length: count }, (_, index) => ({
      name: `${name}-${index + 1}`,
      url: `http://10.0.${Math.floor(index / 250)}.${(index % 250) + 1}:${port}`,
      agent: `http://10.0.${Math.floor(index / 250)}.${(index % 250) + 1}:${port + 1000}`,
    })),
  });
  const packages = (version: string) => [
    { path: '/srv/packages', fileName: `service-${version}.tgz`, sha256: '0'.repeat(64) },
  ];
  return {
    service: 'service',
    baseline: { version: '1.4', cluster: 'base', packages: packages('1.4') },
    candidates: [
      { version: '2.0-a', mode: 'one', packages: packages('2.0-a') },
      { version: '2.0-b', mode: 'two', packages: packages('2.0-b') },
    ],
    deployment: { one: 'blue', two: 'green' },
    clusters: {
      base: cluster('base', servers - 2 * inCandidate, 8000),
      blue: cluster('blue', inCandidate, 8001),
      green: cluster('green', inCandidate, 8002),
    },
    gateways: [{ name: 'edge', admin: 'http://127.0.0.1:7410' }],
    ...(oneByOne ? { drain: { manner: 'rolling', batch: 1 }, promotion: { batch: 1 } } : {}),
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'tail',
        rules: [
          { tail: 'odd', to: '2.0-a' },
          { tail: 'even', to: '2.0-b' },
        ],
      },
    },
    trial: {
      stages: [{ share: '100%', length: `${Math.ceil(readings * READ_EVERY_MS * MARGIN)}ms` }],
      readEvery: `${READ_EVERY_MS}ms`,
      minSamples: 10,
    },
    measure: { volume: { kind: 'successes', match: { method: 'POST', path: '/visit', status: '201' } } },
    // Every reading is wanted: nothing is decided before the end.
    decision: { rule: 'max-efficacy' },
    approval: 'automatic',
  };
}
