import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fatal, until } from '../../demo/fleet/until.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import { planToServiceDefinition } from '../../src/domain/plan/service-definition.ts';
import type { GatewayKind } from '../../demo/fleet/config.ts';
import type { Transition } from '../../src/domain/routes/transitions.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { benchPlan } from '../gateway/bench-plan.ts';
import { nowMs } from './clock.ts';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const READY_MS = 120_000;
const GRACE_MS = 3_000;
const SERVICE = 'bench';
/** Baseline and two candidates. The default is one more, which with 5,000 servers is more files than many systems allow. */
const SLOTS = 3;
/** For calls with a table of thousands of servers on a machine that does other things too, in milliseconds. */
const CALL_TIMEOUT_MS = 60_000;

/** A flow controller and its gateways, each a process as an operator starts it. */
export interface Processes extends AsyncDisposable {
  /** Traffic ports of the gateways. */
  readonly ports: readonly number[];
  readonly clusters: Readonly<Record<string, readonly string[]>>;
  /** Changes the routes: when the call was made, when the controller had answered, when all gateways had acknowledged. */
  change(
    transitions: readonly Transition[],
  ): Promise<{ fromMs: number; answeredMs: number; ackedMs: number }>;
  /** Reads what is in flight on these servers. How long that took, in milliseconds. */
  readLoad(servers: readonly string[]): Promise<number>;
}

export interface ProcessesOptions {
  readonly folder: string;
  readonly kind: GatewayKind;
  readonly gateways: number;
  /** Of the servers, which are put into the clusters main, blue and green in turn. */
  readonly urls: readonly string[];
  /** Command of HAProxy. */
  readonly haproxy: string;
}

interface Address {
  readonly name: string;
  readonly port: number;
  readonly admin: number;
}

export async function startProcesses(options: ProcessesOptions): Promise<Processes> {
  const { folder, kind } = options;
  const started: ChildProcess[] = [];
  const run = (command: string, args: readonly string[]): ChildProcess => {
    const env = { ...process.env, LOG_LEVEL: 'error' };
    const child = spawn(command, args, { stdio: 'ignore', env });
    bindToThisProcess(child);
    started.push(child);
    return child;
  };
  try {
    const [at = 0, ...free] = await freePorts(1 + 2 * options.gateways);
    const addresses = Array.from({ length: options.gateways }, (_, index): Address => {
      return { name: `gw-${index}`, port: free[2 * index] ?? 0, admin: free[2 * index + 1] ?? 0 };
    });
    const plan = benchPlan(
      options.urls,
      addresses.map(({ name, admin }) => ({ name, kind, admin: `http://127.0.0.1:${admin}` })),
    );
    const url = `http://127.0.0.1:${at}`;
    const listen = ['--listen', `127.0.0.1:${at}`, '--state', join(folder, 'controller')];
    run(process.execPath, [CLI, 'controller', ...listen]);
    await until('the controller answers', () => answers(at), { timeoutMs: READY_MS });
    const registry = createFlowController({ url, timeoutMs: CALL_TIMEOUT_MS });
    await registry.adopt(SERVICE, planToServiceDefinition(plan));

    for (const { name, port, admin } of addresses) {
      const own = join(folder, name);
      const common = ['--name', name, '--service', SERVICE, '--admin', `127.0.0.1:${admin}`];
      const state = ['--controller', url, '--state', join(own, 'state')];
      if (kind === 'embedded') {
        run(process.execPath, [CLI, 'gateway', ...common, '--listen', `127.0.0.1:${port}`, ...state]);
        continue;
      }
      await mkdir(own, { recursive: true });
      const socket = join(own, 'admin.sock');
      const rendering = { bind: `127.0.0.1:${port}`, socket, files: own, slots: SLOTS };
      for (const [path, content] of seedFiles(plan, rendering)) await writeFile(path, content);
      await writeFile(join(own, 'haproxy.cfg'), renderConfig(plan, rendering));
      const haproxy = run(options.haproxy, ['-db', '-f', join(own, 'haproxy.cfg')]);
      await until(
        `HAProxy of ${name} listens`,
        () => {
          if (haproxy.exitCode !== null) throw new Fatal(new Error(tooManyFiles(own)));
          return answers(port);
        },
        { timeoutMs: READY_MS },
      );
      const more = ['--socket', `unix@${socket}`, '--files', own];
      run(process.execPath, [CLI, 'haproxy', 'serve', ...common, ...more, ...state]);
    }
    const acknowledged = async (version: number): Promise<boolean> => {
      const { gateways } = await registry.publish(SERVICE);
      return gateways.every((gateway) => gateway.acknowledged >= version);
    };
    await until('all gateways have routes', () => acknowledged(1), { timeoutMs: READY_MS });
    const { fence } = await registry.acquire(SERVICE, { upgradeId: 'bench', gateways: plan.gateways });
    let step = 0;

    return {
      ports: addresses.map(({ port }) => port),
      clusters: Object.fromEntries(
        Object.entries(plan.clusters).map(([name, { servers }]) => [name, servers.map((one) => one.name)]),
      ),
      async change(transitions) {
        step += 1;
        const fromMs = nowMs();
        const { version } = await registry.activate(SERVICE, { fence, step, transitions });
        const answeredMs = nowMs();
        const deadline = answeredMs + READY_MS;
        while (!(await acknowledged(version))) {
          if (nowMs() > deadline) throw new Error(`routes ${version} were not acknowledged by all gateways`);
        }
        return { fromMs, answeredMs, ackedMs: nowMs() };
      },
      async readLoad(servers) {
        const fromMs = nowMs();
        await registry.load(SERVICE, servers);
        return nowMs() - fromMs;
      },
      [Symbol.asyncDispose]: () => endAll(started),
    };
  } catch (error) {
    await endAll(started);
    throw error;
  }
}

/** The likely reason where there are thousands of servers: HAProxy reserves a file for each server of each slot. */
function tooManyFiles(folder: string): string {
  return `HAProxy ended at once; see \`haproxy -db -f ${join(folder, 'haproxy.cfg')}\`. With thousands of servers, raise \`ulimit -n\`.`;
}

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  // The controller last: gateways that lose it would only say so.
  const [controller, ...others] = children;
  await Promise.all(others.map((child) => endProcess(child, GRACE_MS)));
  if (controller !== undefined) await endProcess(controller, GRACE_MS);
}
