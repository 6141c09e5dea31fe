import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../demo/fleet/until.ts';
import type { GatewayKind } from '../../demo/fleet/config.ts';
import { startPlainSwitch } from './plain-switch.ts';
import { startProcesses } from './processes.ts';
import { startTraffic, type Traffic } from './traffic.ts';

export interface SwitchRun {
  readonly folder: string;
  readonly haproxy: string;
  readonly gateways: number;
  readonly activations: number;
  /** Over all gateways. */
  readonly ratePerSecond: number;
}

export interface Switches {
  /** Of each activation, in milliseconds from its call: the last request by the old routes … */
  readonly lastMs: readonly number[];
  /** … and the moment at which all gateways had acknowledged. */
  readonly ackedMs: readonly number[];
  readonly answered: number;
  readonly failed: number;
  /** Not sent, for want of processor time. */
  readonly omitted: number;
}

const RELEASES = ['1.0', '2.0-a'] as const;
/** First switches are not counted: connections come about, and code is compiled. */
const WARM_UP = 5;
const FLOWING_MS = 60_000;
/** Up to so long it lasts until the next activation, so that they meet the clients at any moment, in milliseconds. */
const PAUSE_MS = 20;

type Switch = (side: number) => Promise<{ fromMs: number; doneMs: number }>;

/** Real processes, all requests to one version; activations send them to the other one and back. */
export async function measureSwitches(kind: GatewayKind, run: SwitchRun): Promise<Switches> {
  await using traffic = await startTraffic(run.gateways);
  const [old = 0, next = 0] = traffic.ports;
  const urls = [old, next, next].map((port, index) => `http://127.0.0.${index + 1}:${port}`);
  await using processes = await startProcesses({ ...run, kind, urls });
  const { blue = [], green = [] } = processes.clusters;
  await processes.change([
    { kind: 'open', servers: blue, release: '2.0-a' },
    { kind: 'open', servers: green, release: '2.0-b' },
  ]);
  return await switchToAndFro(traffic, { ...run, ports: processes.ports }, async (side) => {
    const release = RELEASES[side] ?? '';
    const { fromMs, ackedMs } = await processes.change([{ kind: 'main', release }]);
    return { fromMs, doneMs: ackedMs };
  });
}

/** An HAProxy alone, told by one command. */
export async function measurePlainSwitches(run: SwitchRun): Promise<Switches> {
  await using traffic = await startTraffic(1);
  const folder = join(run.folder, 'alone');
  await using plain = await startPlainSwitch(folder, { haproxy: run.haproxy, servers: traffic.ports });
  return await switchToAndFro(traffic, { ...run, ports: [plain.port] }, async (side) => {
    const { fromMs, answeredMs } = await plain.switchTo(side);
    return { fromMs, doneMs: answeredMs };
  });
}

async function switchToAndFro(
  traffic: Traffic,
  { ports, ratePerSecond, activations }: SwitchRun & { ports: readonly number[] },
  switchTo: Switch,
): Promise<Switches> {
  traffic.send(ports, ratePerSecond);
  await until('requests flow through every gateway', () => flowing(traffic), { timeoutMs: FLOWING_MS });
  const lastMs: number[] = [];
  const ackedMs: number[] = [];
  for (let number = 1; number <= WARM_UP + activations; number += 1) {
    const side = number % 2;
    const { fromMs, doneMs } = await switchTo(side);
    const last = await traffic.lastArrivalAt(1 - side);
    if (number > WARM_UP) {
      lastMs.push(Math.max(0, last - fromMs));
      ackedMs.push(doneMs - fromMs);
    }
    await delay(Math.random() * PAUSE_MS);
  }
  const { answered, failed, omitted } = await traffic.seen();
  traffic.stop();
  return { lastMs, ackedMs, answered, failed, omitted };
}

async function flowing(traffic: Traffic): Promise<boolean> {
  const { lastArrivalMs } = await traffic.seen();
  return (lastArrivalMs[0] ?? []).every((at) => at > 0);
}
