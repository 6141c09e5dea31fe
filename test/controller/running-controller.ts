import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { controllerConfigSchema } from '../../src/controller/config.ts';
import { createController } from '../../src/controller/controller.ts';
import { LATENCY_BOUNDS_MS, type TrafficCount } from '../../src/domain/measure.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import type { GatewayAddress, ServiceDefinition } from '../../src/protocol/controller.ts';

export async function makeStateDir(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'changeover-controller-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface ControllerOptions {
  readonly stateDir: string;
  readonly readIntervalMs?: number;
  readonly token?: string;
  readonly listen?: { readonly host: string; readonly port: number };
}

/** A controller that listens, and its client. */
export async function startController(options: ControllerOptions) {
  const config = controllerConfigSchema.parse({ listen: { port: 0 }, readIntervalMs: 50, ...options });
  const controller = createController(config, {
    logger: pino({ level: process.env['LOG_LEVEL'] ?? 'silent' }),
    gatewayFor: (address) => createGatewayOverHttp(address),
  });
  const { url } = await controller.start();
  const client = createFlowController({
    url,
    ...(options.token === undefined ? {} : { token: options.token }),
  });
  return {
    url,
    client,
    close: () => controller.close(),
    [Symbol.asyncDispose]: () => controller.close(),
  };
}

/** Baseline cluster `base` (b1, b2) and candidate clusters `left` (l1) and `right` (r1), all on 1.4. */
export function definitionWith(gateways: readonly GatewayAddress[]): ServiceDefinition {
  return {
    release: '1.4',
    servers: [
      { name: 'b1', cluster: 'base', url: 'http://127.0.0.1:9001' },
      { name: 'b2', cluster: 'base', url: 'http://127.0.0.1:9002' },
      { name: 'l1', cluster: 'left', url: 'http://127.0.0.1:9003' },
      { name: 'r1', cluster: 'right', url: 'http://127.0.0.1:9004' },
    ],
    gateways: [...gateways],
    measure: { allocated: {}, volume: { kind: 'successes', match: {} }, slowMs: 1000 },
    transactions: null,
  };
}

export const split: TrafficSplit = {
  key: { from: 'header', name: 'x-account' },
  policy: {
    kind: 'tail',
    rules: [
      { tail: 'odd', to: '2.0-a' },
      { tail: 'even', to: '2.0-b' },
    ],
  },
  withoutKey: '1.4',
  baseline: '1.4',
  share: 0.05,
  salt: 'trial',
  pulled: [],
};

/** The transitions by which both candidate clusters run their versions and get traffic. */
export const trial = [
  { kind: 'open', servers: ['l1'], release: '2.0-a' },
  { kind: 'open', servers: ['r1'], release: '2.0-b' },
  { kind: 'split', split },
] as const;

export function countOf(row: Partial<TrafficCount>): TrafficCount {
  return {
    release: '1.4',
    cluster: 'base',
    server: 'b1',
    bucket: 'main',
    requests: 0,
    allocated: 0,
    succeeded: 0,
    clientErrors: 0,
    serverErrors: 0,
    failed: 0,
    aborted: 0,
    slow: 0,
    volumeCount: 0,
    volumeAmount: 0,
    latency: [...LATENCY_BOUNDS_MS, 0].map(() => 0),
    latencySumMs: 0,
    ...row,
  };
}
