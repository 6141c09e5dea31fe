import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type RequestListener } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { startDevServer } from '../../src/dev-server/dev-server.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';

const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
const STARTER = fileURLToPath(new URL('../../dist/src/starter.js', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-processes-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process of the product, with what it printed. */
class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  out = '';
  err = '';

  constructor(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [script, ...args], { env: { ...process.env, ...env } });
    this.exited = once(this.child, 'close').then(([code]) => code as number | null);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
  }

  /** Resolves with what the pattern found in a log line. @throws Error where the process ends before. */
  async says(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.out);
      if (found !== null) return found[1] ?? found[0];
      const more = once(this.child.stdout!, 'data').then(() => true);
      const over = this.exited.then(() => false);
      if (!(await Promise.race([more, over])) && !pattern.test(this.out)) {
        throw new Error(`It ended without saying ${String(pattern)}:\n${this.out}\n${this.err}`);
      }
    }
  }

  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exited;
  }
}

function changeover(args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  return new Program(CLI, args, env);
}

/** A server of the business that holds each request until it is let go. */
async function holdingServer() {
  let answer = (): void => undefined;
  const served = await serve((_request, response) => {
    answer = () => void response.end('done');
  });
  return { ...served, reached: once(served.server, 'request'), answer: () => answer() };
}

async function serve(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    server,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A plan whose base cluster is the given server; the others only have to have addresses of their own. */
async function writePlan(serverUrl: string, admin: string, change: Partial<PlanInput> = {}): Promise<string> {
  const plan = examplePlanInput({ gateways: [{ name: 'edge', admin }], ...change }, 1);
  plan.clusters['base']!.servers[0]!.url = serverUrl;
  const file = join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  return file;
}

async function startController(): Promise<{ controller: Program; env: NodeJS.ProcessEnv }> {
  const state = join(folder, 'controller');
  const controller = changeover(['controller', '--listen', '127.0.0.1:0', '--state', state]);
  return { controller, env: { CHANGEOVER_CONTROLLER_URL: await controller.says(/"url":"([^"]+)"/) } };
}

function startGateway(ports: { traffic: number; admin: number }, env: NodeJS.ProcessEnv): Program {
  const { traffic, admin } = ports;
  const args = ['gateway', '--name', 'edge', '--service', 'wealth', '--state', join(folder, 'edge')];
  const addresses = ['--listen', `127.0.0.1:${traffic}`, '--admin', `127.0.0.1:${admin}`];
  return changeover([...args, ...addresses], env);
}

describe('controller and gateway', () => {
  test.each([
    ['finish what is in flight when they are told to stop', 0],
    ['end at once when they are told twice', 130],
  ])('take a service under management, route it, and %s', async (_what, exitCode) => {
    await using business = await holdingServer();
    const { controller, env } = await startController();
    await using _controller = controller;
    const [traffic = 0, admin = 0] = await freePorts(2, '127.0.0.1');
    const plan = await writePlan(business.url, `http://127.0.0.1:${admin}`);
    for (const how of ['under management', 'already under management, nothing changed']) {
      await using adopt = changeover(['adopt', plan], env);
      expect(await adopt.exited, adopt.err).toBe(0);
      expect(adopt.out).toBe(`wealth is ${how}; its route table is at version 1.\n`);
    }

    await using gateway = startGateway({ traffic, admin }, env);
    await gateway.says(/gateway started/);
    const sent = request({ port: traffic, host: '127.0.0.1', path: '/slow' }).end();
    const answered = once(sent, 'response').catch(() => undefined);
    await business.reached;
    gateway.child.kill('SIGTERM');
    await gateway.says(/"signal":"SIGTERM"/);
    if (exitCode === 0) business.answer();
    else gateway.child.kill('SIGINT');
    const [response] = ((await answered) ?? []) as [IncomingMessage?];
    response?.resume();
    expect(response?.statusCode).toBe(exitCode === 0 ? 200 : undefined);
    expect(await gateway.exited).toBe(exitCode);
    expect(await controller.stop()).toBe(0);
  });

  test('say what comes at present, and `changeover plan` expects a verdict by it', async () => {
    await using business = await serve((_request, response) => void response.end('done'));
    const { controller, env } = await startController();
    await using _controller = controller;
    const [traffic = 0, admin = 0] = await freePorts(2, '127.0.0.1');
    const decision = { rule: 'anytime', unit: 'request', epsilon: '5%', expectedRate: '10%' } as const;
    const plan = await writePlan(business.url, `http://127.0.0.1:${admin}`, { decision });
    await using adopt = changeover(['adopt', plan], env);
    expect(await adopt.exited, adopt.err).toBe(0);
    await using gateway = startGateway({ traffic, admin }, env);
    await gateway.says(/gateway started/);

    await using planned = changeover(['plan', plan, '--measure-traffic', '1s', '--json'], env);
    const over = planned.exited.then(() => true);
    let sent = 0;
    for (let ended = false; !ended; ended = await Promise.race([over, Promise.resolve(false)])) {
      const response = await fetch(`http://127.0.0.1:${traffic}/visit`);
      expect([response.status, await response.text()]).toEqual([200, 'done']);
      sent += 1;
    }
    expect(await planned.exited, planned.err).toBe(0);
    const told = JSON.parse(planned.out) as {
      decision: { measured: { perSecond: number; overMs: number; gateways: string[] }; expected: object };
    };
    const { perSecond, overMs, gateways } = told.decision.measured;
    expect(gateways).toEqual(['edge']);
    expect(perSecond).toBeGreaterThan(0);
    expect((perSecond * overMs) / 1000).toBeLessThanOrEqual(sent);
    expect(told.decision.expected).toMatchObject({ trafficFrom: 'gateways', trafficPerSecond: perSecond });
  });

  test('say in one sentence why they cannot start', async () => {
    const { controller } = await startController();
    await using _controller = controller;
    const state = join(folder, 'controller');
    await using second = changeover(['controller', '--listen', '127.0.0.1:0', '--state', state]);
    expect(await second.exited).toBeGreaterThan(0);
    expect(second.err).toContain(state);
    expect(second.err.trim().split('\n')).toHaveLength(1);
  });
});

describe('starter and worker', () => {
  test('start an upgrade by itself, and take it up; the worker ends in order', async () => {
    await using temporal = await startDevServer({ logFile: join(folder, 'temporal.log') });
    const { controller, env: found } = await startController();
    await using _controller = controller;
    const env = { ...found, TEMPORAL_ADDRESS: temporal.address, TEMPORAL_UI_URL: temporal.uiUrl };
    const plan = await writePlan('http://127.0.0.1:9', 'http://127.0.0.1:8');

    await using starter = new Program(STARTER, [plan], env);
    expect(await starter.exited, starter.err).toBe(0);
    expect(starter.out).toContain(`${temporal.uiUrl}/namespaces/default/workflows/upgrade-wealth/`);
    await using again = new Program(STARTER, [plan], env);
    expect(await again.exited).toBe(3);
    expect(again.err).toContain('runs already');

    await using worker = changeover(['worker'], env);
    await worker.says(/worker polls/);
    // Nobody adopted the service: the run fails before anything is changed, and says so.
    await using watch = changeover(['watch', 'wealth'], env);
    expect(await watch.exited, watch.out).toBe(1);
    expect(watch.err).toContain('wealth');
    await using replay = changeover(['replay', 'upgrade-wealth'], env);
    expect(await replay.exited, replay.err).toBe(0);
    expect(replay.out).toContain('this version of the workflow does the same');
    expect(await worker.stop()).toBe(0);
  });

  test('refuse a wrong plan and a Temporal that is not there', async () => {
    const file = join(folder, 'wrong.yaml');
    await writeFile(file, 'service: wealth');
    await using wrong = new Program(STARTER, [file]);
    expect(await wrong.exited).toBe(2);
    expect(wrong.err).toContain('measure held nothing; it must be');
    await using worker = changeover(['worker'], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
    expect(await worker.exited).toBe(4);
    expect(worker.err).toContain('Temporal does not answer at 127.0.0.1:1');
  });
});
