import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { create } from 'tar';
import { createAgentOverHttp } from '../../src/adapters/agent-over-http.ts';
import { createAgent, type AgentDeps } from '../../src/agent/agent.ts';
import { agentConfigSchema, type AgentConfigInput } from '../../src/agent/config.ts';
import type { UpgradeParams } from '../../src/domain/upgrade-params.ts';
import type { AgentStatus, UpgradeRequest } from '../../src/protocol/agent.ts';

export type Behaviour = 'serve' | 'rebuilt' | 'crash' | 'hang' | 'ignoreTerm';

/** An agent that listens, with the calls that a test makes of it. */
export interface RunningAgent extends AsyncDisposable {
  readonly url: string;
  status(): Promise<AgentStatus>;
  upgrade(params: UpgradeParams, more?: Partial<UpgradeRequest>): Promise<AgentStatus>;
  prepare(params: UpgradeParams): Promise<void>;
  /** Pushes and waits until it is over, one way or the other. */
  upgraded(params: UpgradeParams, more?: Partial<UpgradeRequest>): Promise<AgentStatus>;
  settled(key?: string): Promise<AgentStatus>;
}

/** One server: an install folder, a port for the software, packages, and what the software recorded of itself. */
export interface ServerFixture extends AsyncDisposable {
  readonly dir: string;
  readonly packages: string;
  readonly port: number;
  pack(version: string, behaviour?: Behaviour): Promise<UpgradeParams>;
  configInput(overrides?: Partial<AgentConfigInput>): AgentConfigInput;
  agent(overrides?: Partial<AgentConfigInput>): Promise<RunningAgent>;
  agentOf(config: AgentConfigInput, deps?: Partial<AgentDeps>): Promise<RunningAgent>;
  /** Times at which the software found another version of it alive. */
  violations(): Promise<string[]>;
  /** Versions in the order in which they were started. */
  starts(): Promise<string[]>;
  livePids(): Promise<number[]>;
}

export async function createServerFixture(): Promise<ServerFixture> {
  const dir = await mkdtemp(join(tmpdir(), 'changeover-agent-'));
  const packages = join(dir, 'packages');
  await mkdir(packages);
  const port = await freePort();

  const configInput = (overrides: Partial<AgentConfigInput> = {}): AgentConfigInput => ({
    server: 'web-1',
    service: 'wealth',
    os: 'linux',
    listen: { port: 0 },
    installDir: join(dir, 'install'),
    packageRoots: [packages],
    run: {
      command: [process.execPath, 'server.mjs'],
      env: { PORT: String(port), WORLD: dir },
      stopGrace: '5s',
      stopWithAgent: true,
    },
    health: { url: `http://127.0.0.1:${port}/health`, timeout: '10s', interval: '50ms' },
    ...overrides,
  });

  const lines = async (name: string): Promise<string[]> =>
    (await readFile(join(dir, name), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

  const livePids = async (): Promise<number[]> => {
    const names = await readdir(join(dir, 'running')).catch(() => []);
    const pids = names.map((name) => Number(name.split('_')[0]));
    const alive = await Promise.all(pids.map(isAlive));
    return pids.filter((_, index) => alive[index]);
  };

  return {
    dir,
    packages,
    port,
    configInput,
    livePids,
    pack: (version, behaviour = 'serve') => packRelease({ dir, packages, version, behaviour }),
    agent: (overrides) => startAgent(configInput(overrides)),
    agentOf: startAgent,
    violations: () => lines('violations'),
    starts: () => lines('starts'),
    [Symbol.asyncDispose]: async () => {
      for (const pid of await livePids()) process.kill(pid, 'SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function startAgent(input: AgentConfigInput, deps?: Partial<AgentDeps>): Promise<RunningAgent> {
  const logger = pino({ level: process.env.LOG ?? 'silent' });
  const agent = createAgent(agentConfigSchema.parse(input), { logger, ...deps });
  const { url } = await agent.start();
  return Object.assign(callsOf(url), { [Symbol.asyncDispose]: () => agent.close() });
}

let nextKey = 0;

function callsOf(url: string): Omit<RunningAgent, typeof Symbol.asyncDispose> {
  const port = createAgentOverHttp();
  const address = { server: 'web-1', agent: url };
  const status = () => port.status(address);
  const upgrade: RunningAgent['upgrade'] = (params, more) =>
    port.upgrade(address, { key: `key-${(nextKey += 1)}`, fence: 1, service: 'wealth', params, ...more });
  const settled: RunningAgent['settled'] = (key) =>
    eventually(
      status,
      ({ upgrade: at }) => at !== null && at.state !== 'running' && (key === undefined || at.key === key),
    );
  return {
    url,
    prepare: (params) => port.prepare(address, { service: 'wealth', params }),
    status,
    upgrade,
    settled,
    upgraded: async (params, more) => settled((await upgrade(params, more)).upgrade?.key),
  };
}

/** Asks until the answer is as wanted; the test's own time-out ends it otherwise. */
export async function eventually<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    await delay(20);
  }
}

async function packRelease(release: {
  dir: string;
  packages: string;
  version: string;
  behaviour: Behaviour;
}): Promise<UpgradeParams> {
  const { version, behaviour } = release;
  const folder = join(release.dir, 'sources', version);
  await mkdir(folder, { recursive: true });
  await copyFile(fileURLToPath(new URL('./software.mjs', import.meta.url)), join(folder, 'server.mjs'));
  await writeFile(join(folder, 'release.json'), JSON.stringify({ version, behaviour }));
  const fileName = `wealth-${version}.tgz`;
  await create({ cwd: folder, file: join(release.packages, fileName), gzip: true }, [
    'server.mjs',
    'release.json',
  ]);
  return paramsOf(release.packages, fileName, version);
}

export async function paramsOf(folder: string, fileName: string, version: string): Promise<UpgradeParams> {
  const sha256 = createHash('sha256')
    .update(await readFile(join(folder, fileName)))
    .digest('hex');
  return { os: 'linux', path: folder, fileName, version, sha256 };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Not even a zombie. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}
