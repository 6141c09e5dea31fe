import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { agents } from '../../demo/compose/fleet.ts';
import { PROFILES, readWrittenPlan, writeFiles } from '../../demo/compose/files.ts';
import { createFleetProcess, type FleetProcess } from '../../demo/fleet/fleet-process.ts';
import { until } from '../../demo/fleet/until.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { planToServiceDefinition } from '../../src/domain/plan/service-definition.ts';
import { findHaproxy } from '../../src/haproxy/haproxy-command.ts';
import { requireComponent } from '../support/require-component.ts';
import { changeover } from './support/commands.ts';

/**
 * What the containers of docker-compose.yml run, run here: the same commands, where hosts and ports of its network, folders
 * and volumes are those of this machine.
 */
const composeSchema = z.object({
  services: z.record(
    z.string(),
    z.object({
      command: z.array(z.string()).default([]),
      entrypoint: z.array(z.string()).optional(),
      volumes: z.array(z.string()).default([]),
      network_mode: z.string().optional(),
      healthcheck: z.object({ test: z.array(z.string()) }).optional(),
    }),
  ),
});
const { services } = composeSchema.parse(
  parse(await readFile('docker-compose.yml', 'utf8'), { merge: true }),
);
const haproxyCommand = await findHaproxy(process.env);
const WAIT = { timeoutMs: 30_000 };
/** As scripts/compose-env.mjs writes them. */
const token = (): string => randomBytes(24).toString('hex');
const TOKENS = { CHANGEOVER_CONTROLLER_TOKEN: token(), CHANGEOVER_GATEWAY_TOKEN: token() };

let folder = '';
let registry: ReturnType<typeof createFlowController>;
const ports = new Map<string, number>();
const processes: FleetProcess[] = [];
const business: Server[] = [];
const env = (): NodeJS.ProcessEnv & Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  ...TOKENS,
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-compose-'));
  const addresses = [
    ...['controller:7400', 'gateway:8080', 'gateway:7600', 'haproxy-files:8080', 'companion:7600'],
    ...['sidecar:8081', 'sidecar:7600', ...agents().map(({ server }) => `${server}:8080`)],
  ];
  const free = await freePorts(addresses.length);
  addresses.forEach((address, index) => ports.set(address, free[index] ?? 0));
  await writeFiles(join(folder, 'demo'));
  for (const name of ['plan', ...PROFILES.map((profile) => `plan-${profile}`)]) {
    const file = join(folder, 'demo', `${name}.json`);
    await writeFile(file, here(await readFile(file, 'utf8')));
  }
  await Promise.all(agents().map(({ server }) => startBusiness(server)));
  await start('controller');
  registry = createFlowController({
    url: here('http://controller:7400'),
    token: TOKENS.CHANGEOVER_CONTROLLER_TOKEN,
  });
  const plan = await readWrittenPlan(join(folder, 'demo'));
  await registry.adopt(plan.service, planToServiceDefinition(plan));
  await start('gateway');
});
afterAll(async () => {
  for (const one of processes.reverse()) await one.stop();
  for (const server of business) server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A URL of the compose network as it is on this machine; other ports of its servers stand for nothing. */
function here(text: string): string {
  return text.replaceAll(/http:\/\/([a-z0-9-]+:\d+)/g, (url, address: string) => {
    const port = ports.get(address);
    return port === undefined ? url : `http://127.0.0.1:${port}`;
  });
}

/** What a container runs, with its own addresses and mounts as they are here. */
function native(name: string, words: readonly string[]): string[] {
  const { volumes = [], network_mode } = services[name] ?? {};
  const host = network_mode?.replace('service:', '') ?? name;
  return words.map((word) => {
    const mounted = volumes.reduce((path, volume) => {
      const [source = '', target = ''] = volume.split(':');
      return path.replace(target, join(folder, source));
    }, word);
    return here(mounted)
      .replace(/^http:\/\/127\.0\.0\.1:(\d+)/, (url, port) => localUrl(`${host}:${port}`) ?? url)
      .replace(
        /^(?:0\.0\.0\.0|127\.0\.0\.1)?:(\d+)$/,
        (_, port) => `127.0.0.1:${ports.get(`${host}:${port}`)}`,
      )
      .replace(/^\/app\//, `${process.cwd()}/`);
  });
}

function localUrl(address: string): string | undefined {
  const port = ports.get(address);
  return port === undefined ? undefined : `http://127.0.0.1:${port}`;
}

async function startBusiness(name: string): Promise<void> {
  const server = createServer((_, response) => response.end(name));
  server.listen(ports.get(`${name}:8080`), '127.0.0.1');
  await once(server, 'listening');
  business.push(server);
}

/** Starts a container's command, and waits until its own health check is content. */
async function start(name: string): Promise<void> {
  const { command = [], healthcheck } = services[name] ?? {};
  const [, ...check] = native(name, healthcheck?.test ?? []);
  await mkdir(join(folder, name), { recursive: true });
  const one = createFleetProcess({
    ...{
      name,
      args: native(name, command),
      env: env(),
      logFile: join(folder, `${name}.log`),
      graceMs: 5_000,
    },
    isReady: async () => (await runToEnd(check)) === 0,
    onSpawn: async () => undefined,
  });
  processes.push(one);
  await one.start();
}

async function runToEnd([file = '', ...args]: readonly string[]): Promise<number | null> {
  const child = spawn(file, args, { env: env(), stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

/** Runs a container that ends. */
async function run(name: string): Promise<void> {
  const { code, err } = await changeover({ env: env() }, ...native(name, services[name]?.command ?? []));
  expect(code, `${name}: ${err}`).toBe(0);
}

async function answer(url: string): Promise<number> {
  const { statusCode, body } = await request(url, { headers: { 'x-account': '100001' } });
  await body.dump();
  return statusCode;
}

/** The gateways of a profile's plan acknowledge that an upgrade of it is under way. */
async function acknowledge(profile: (typeof PROFILES)[number]): Promise<void> {
  const { service, gateways } = await readWrittenPlan(join(folder, 'demo'), profile);
  const { fence } = await registry.acquire(service, { upgradeId: profile, gateways });
  await until(
    'all gateways of the plan have the routes',
    async () => {
      const { version, gateways: standing } = await registry.publish(service);
      return standing.length === gateways.length && standing.every((one) => one.acknowledged === version);
    },
    WAIT,
  );
  await registry.release(service, { fence, step: 1 });
  for (const { name } of gateways.slice(1))
    await registry.removeGateway(service, { gateway: name, by: 'ann' });
}

test('profile haproxy: rendered, brought up to date, started, told its routes by the companion, and serving', async (context) => {
  requireComponent('HAProxy', haproxyCommand !== null, context);
  await run('haproxy-files');
  await run('haproxy-sync');
  const [file, ...args] = native('haproxy', services['haproxy']?.command ?? []);
  expect(file).toBe('haproxy');
  const haproxy = spawn(haproxyCommand ?? '', args, { stdio: 'ignore', detached: true });
  bindToThisProcess(haproxy);
  try {
    await start('companion');
    expect(await answer(here('http://haproxy-files:8080/'))).toBe(200);
    await acknowledge('haproxy');
  } finally {
    await endProcess(haproxy, WAIT.timeoutMs);
  }
});

test('profile sidecar: a caller reaches the service by it on loopback', async () => {
  await start('sidecar');
  await acknowledge('sidecar');
  const { command = [], entrypoint = [] } = services['caller'] ?? {};
  const [node = '', ...args] = native('caller', [...entrypoint, ...command]);
  const caller = spawn(node, args, { env: env(), stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let told = '';
  caller.stdout?.setEncoding('utf8').on('data', (text: string) => (told += text));
  await until('it is answered', () => /"answered":[1-9]/.test(told), WAIT);
  caller.kill('SIGKILL');
  await once(caller, 'exit');
  expect(told).not.toMatch(/"lost":[1-9]/);
});
