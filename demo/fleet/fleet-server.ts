import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { createAgentOverHttp } from '../../src/adapters/agent-over-http.ts';
import type { AgentConfigInput } from '../../src/agent/config.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import type { Package } from '../../src/domain/upgrade-params.ts';
import type { AgentStatus } from '../../src/protocol/agent.ts';
import { START_COMMAND } from '../packages.ts';
import { createFleetProcess, type FleetProcess, type FleetProcessConfig } from './fleet-process.ts';
import { Fatal, until } from './until.ts';

/** One server: its agent, and the business that the agent runs. */
export interface FleetServer {
  readonly name: string;
  readonly cluster: string;
  /** Of the business. */
  readonly url: string;
  /** Of the agent's API. */
  readonly agentUrl: string;
  readonly agent: FleetProcess;
  readonly installDir: string;
  /** The business appends a JSON line at each start, stop and exit, with what was in flight. */
  readonly recordFile: string;
  /** To this one the pricing business appends a line for each call. */
  readonly callsFile: string;
  status(): Promise<AgentStatus>;
  /** Has the agent install a package where nothing runs yet, and waits until it is healthy. */
  install(service: string, params: Package): Promise<void>;
}

export interface FleetServerConfig {
  readonly name: string;
  readonly cluster: string;
  readonly service: string;
  readonly folder: string;
  readonly packageFolder: string;
  /** What differs in the environment of the business. */
  readonly env?: Readonly<Record<string, string>>;
  readonly process: Pick<FleetProcessConfig, 'env' | 'onSpawn' | 'onUnexpectedEnd' | 'signal'>;
}

/** The business has this long to finish its requests; the load's slowest take three seconds. */
const STOP_GRACE = '20s';
/** An agent stops its business first, which has nothing in flight when a fleet is closed. */
const AGENT_GRACE_MS = 5_000;
const INSTALL_TIMEOUT_MS = 60_000;

/** Writes the agent's configuration; nothing is started yet. */
export async function createFleetServer(config: FleetServerConfig): Promise<FleetServer> {
  const { name, cluster, folder } = config;
  const home = join(folder, 'servers', name);
  const [port = 0, agentPort = 0] = await freePorts(2);
  const agentUrl = `http://127.0.0.1:${agentPort}`;
  const files = {
    installDir: join(home, 'app'),
    recordFile: join(home, 'business.jsonl'),
    callsFile: join(home, 'calls.jsonl'),
  };
  await mkdir(home, { recursive: true });
  const configFile = join(home, 'agent.json');
  const agentConfig = agentConfigOf(config, { home, port, agentPort, ...files });
  await writeFileAtomic(configFile, `${JSON.stringify(agentConfig, null, 2)}\n`);

  const api = createAgentOverHttp();
  const status = (): Promise<AgentStatus> => api.status({ server: name, agent: agentUrl });
  const agent = createFleetProcess({
    ...config.process,
    name: `agent-${name}`,
    args: ['agent', '--config', configFile],
    logFile: join(folder, 'logs', `agent-${name}.log`),
    graceMs: AGENT_GRACE_MS,
    // Before its first installation nothing runs, and that is how it should be.
    isReady: async () => (await status()).healthy || !(await isThere(join(files.installDir, 'current'))),
  });

  async function install(service: string, params: Package): Promise<void> {
    // The lowest fence: every upgrade comes after it.
    const request = { key: `first-${params.version}`, fence: 0, service, params };
    await api.upgrade({ server: name, agent: agentUrl }, request);
    const isInstalled = async (): Promise<boolean> => {
      const { upgrade, runningVersion, healthy } = await status();
      if (upgrade?.state === 'failed') {
        const reason = upgrade.error?.message ?? 'no reason given';
        throw new Fatal(new ChangeoverError('StartFailed', `${name}: ${reason}`));
      }
      return upgrade?.state === 'done' && runningVersion === params.version && healthy;
    };
    await until(`${name} runs ${params.version}`, isInstalled, {
      timeoutMs: INSTALL_TIMEOUT_MS,
      signal: config.process.signal,
    });
  }

  return { name, cluster, url: `http://127.0.0.1:${port}`, agentUrl, agent, ...files, status, install };
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

function agentConfigOf(
  { name, service, packageFolder, env = {} }: FleetServerConfig,
  at: {
    home: string;
    port: number;
    agentPort: number;
    installDir: string;
    recordFile: string;
    callsFile: string;
  },
): AgentConfigInput {
  const origin = `http://127.0.0.1:${at.port}`;
  return {
    server: name,
    service,
    listen: { host: '127.0.0.1', port: at.agentPort },
    installDir: at.installDir,
    stateDir: join(at.home, 'agent'),
    packageRoots: [packageFolder],
    run: {
      command: [...START_COMMAND],
      env: {
        PORT: String(at.port),
        SERVER_NAME: name,
        RECORD_FILE: at.recordFile,
        CALLS_FILE: at.callsFile,
        ...env,
      },
      stopGrace: STOP_GRACE,
      logFile: join(at.home, 'business.log'),
      stopWithAgent: true,
    },
    health: { url: `${origin}/health`, timeout: '20s', interval: '100ms' },
    version: { url: `${origin}/health` },
    inFlight: { url: `${origin}/inflight` },
  };
}
