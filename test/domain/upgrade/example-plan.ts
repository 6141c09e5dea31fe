import type { Plan } from '../../../src/domain/plan/schema.ts';
import { planSchema, type PlanInput } from '../../../src/domain/plan/schema.ts';

const sha256 = 'a'.repeat(64);

/** A small plan in its input form: three clusters, two candidates by account tail. */
export function examplePlanInput(change: Partial<PlanInput> = {}, serversPerCluster = 3): PlanInput {
  const cluster = (name: string, port: number) => ({
    servers: Array.from({ length: serversPerCluster }, (_, index) => ({
      name: `${name}-${index + 1}`,
      url: `http://127.0.0.1:${port + index}`,
      agent: `http://127.0.0.1:${port + 5000 + index}`,
    })),
  });
  const packages = (version: string) => [
    { path: '/srv/packages', fileName: `wealth-${version}.tgz`, sha256 },
  ];
  return {
    service: 'wealth',
    baseline: { version: '1.4', cluster: 'base', packages: packages('1.4') },
    candidates: [
      { version: '2.0-a', mode: 'static-home', packages: packages('2.0-a') },
      { version: '2.0-b', mode: 'floating-second', packages: packages('2.0-b') },
    ],
    deployment: { 'static-home': 'blue', 'floating-second': 'green' },
    clusters: {
      base: cluster('base', 10_000),
      blue: cluster('blue', 20_000),
      green: cluster('green', 30_000),
    },
    gateways: [{ name: 'edge', admin: 'http://127.0.0.1:9999' }],
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'tail',
        rules: [
          { tail: 'odd', to: '2.0-a' },
          { tail: 'even', to: '2.0-b' },
        ],
      },
      transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '5s' },
    },
    trial: {
      stages: [
        { share: '25%', length: '2s' },
        { share: '100%', length: '4s' },
      ],
      readEvery: '1s',
      minSamples: 10,
    },
    measure: { volume: { kind: 'successes', match: { method: 'POST', path: '/visit', status: '201' } } },
    decision: { rule: 'max-efficacy' },
    ...change,
  };
}

export function examplePlan(change: Partial<PlanInput> = {}, serversPerCluster = 3): Plan {
  return planSchema.parse(examplePlanInput(change, serversPerCluster));
}
