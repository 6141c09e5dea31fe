import type { Logger } from 'pino';
import { join } from 'node:path';
import { ChangeoverError } from '../domain/errors.ts';
import { listen, type Listening } from '../protocol/control-server.ts';
import { createAgentApi } from './api.ts';
import type { AgentConfig } from './config.ts';
import { createExclusive } from './exclusive.ts';
import { createHealthCheck, type HealthCheck } from './health.ts';
import { createHookCommands } from './hook-commands.ts';
import { openJournal } from './journal.ts';
import { createPackageSource } from './package-source.ts';
import { openReleases, type Releases } from './releases.ts';
import { createRunCommand } from './run-command.ts';
import { createServerState } from './server-state.ts';
import { claimFolder } from './single-agent.ts';
import type { Software } from './software.ts';
import { createSupervisor } from './supervisor.ts';
import { createSystemdUnit } from './systemd-unit.ts';
import { createUpgradeSteps } from './upgrade-steps.ts';
import { createUpgrader } from './upgrader.ts';

export interface AgentDeps {
  readonly logger: Logger;
  /** Environment that the software inherits; the agent's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called at each point of an upgrade at which a kill has to be survived: tests kill there. */
  readonly checkpoint?: (name: string) => void | Promise<void>;
  /** Program that controls systemd units; `systemctl` by default. */
  readonly systemctl?: string;
}

/** The daemon next to one server's software: it upgrades it, keeps it running, and says what really runs. */
export interface Agent extends AsyncDisposable {
  /**
   * Takes its port, goes on with an upgrade that was under way, starts the current release if it does not run.
   *
   * @throws ChangeoverError `InvalidRequest` for a host that others can reach without a token, or a folder that another
   * agent manages.
   */
  start(): Promise<{ readonly url: string }>;
  /** Ends the API and what is under way. The software runs on, unless `run.stopWithAgent` says otherwise. */
  close(): Promise<void>;
}

export function createAgent(config: AgentConfig, deps: AgentDeps): Agent {
  const logger = deps.logger.child({ server: config.server });
  /** Undone last-in-first-out by `close`, also when `start` did not get to its end. */
  const undo: (() => Promise<void>)[] = [];
  let closing: Promise<void> | undefined;

  const start: Agent['start'] = async () => {
    const token = tokenOf(config, deps);
    const claim = await claimFolder(config.stateDir);
    undo.push(() => claim.release());
    const parts = await assemble(config, { ...deps, logger });
    const api = createAgentApi(config, { ...parts, token, logger });
    const listening: Listening = await listen(api, {
      ...config.listen,
      ...(token !== undefined && { token }),
    });
    undo.push(
      parts.stopSoftware,
      () => parts.upgrader.close(),
      () => parts.supervisor.close(),
      () => listening.close(),
    );
    parts.upgrader.resume();
    parts.supervisor.start();
    logger.info({ url: listening.url }, 'agent listens');
    return { url: listening.url };
  };

  const close = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };

  return {
    start,
    close: () => (closing ??= close()),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

async function assemble(config: AgentConfig, deps: AgentDeps) {
  const { logger } = deps;
  const checkpoint = async (name: string): Promise<void> => deps.checkpoint?.(name);
  const journal = await openJournal(config.stateDir);
  const releases = await openReleases(config.installDir);
  const health = createHealthCheck(config.health.url, config.version?.url);
  const source = createPackageSource({
    folder: join(config.stateDir, 'downloads'),
    packageRoots: config.packageRoots,
    maxPackageBytes: config.limits.maxPackageBytes,
  });
  const software = await createSoftware(config, { ...deps, releases, health, checkpoint });
  const server = createServerState(config, { software, health, logger });
  const inReleases = createExclusive();
  const { prepare, steps } = createUpgradeSteps({
    os: config.os,
    limits: config.limits,
    source,
    releases,
    software,
    server,
    inReleases,
    checkpoint,
  });
  const exclusive = createExclusive();
  const upgrader = createUpgrader({
    keepReleases: config.keepReleases,
    journal,
    releases,
    software,
    server,
    source,
    steps,
    logger,
    exclusive,
    inReleases,
    checkpoint,
  });
  const supervisor = createSupervisor({
    software,
    releases,
    logger,
    exclusive,
    upgrading: () => upgrader.busy,
  });
  const stopSoftware = async (): Promise<void> => {
    if (config.software.kind === 'run' && config.software.stopWithAgent) await software.stop();
  };
  return { journal, server, upgrader, supervisor, stopSoftware, prepare };
}

async function createSoftware(
  config: AgentConfig,
  deps: AgentDeps & {
    releases: Releases;
    health: HealthCheck;
    checkpoint: (name: string) => Promise<void>;
  },
): Promise<Software> {
  const { installDir, stateDir } = config;
  const env = softwareEnv(config, deps.env ?? process.env);
  const { releases, health, logger, checkpoint } = deps;
  switch (config.software.kind) {
    case 'run':
      return createRunCommand(config.software, { stateDir, env, releases, logger, checkpoint });
    case 'systemd':
      return createSystemdUnit(config.software, { releases, systemctl: deps.systemctl ?? 'systemctl' });
    case 'hooks':
      return createHookCommands(config.software, { installDir, stateDir, env, releases, health });
  }
}

/** What the software inherits: everything but the agent's own secret. */
function softwareEnv(
  config: AgentConfig,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const secret = typeof config.token === 'object' ? config.token.env : undefined;
  const given = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || name === secret ? [] : [[name, value] as const],
  );
  return {
    ...Object.fromEntries(given),
    CHANGEOVER_SERVER: config.server,
    CHANGEOVER_SERVICE: config.service,
  };
}

function tokenOf(config: AgentConfig, deps: AgentDeps): string | undefined {
  if (typeof config.token !== 'object') return config.token;
  const token = (deps.env ?? process.env)[config.token.env];
  if (token !== undefined && token.length >= 8) return token;
  throw new ChangeoverError(
    'InvalidRequest',
    `The environment variable ${config.token.env} (field token) holds no token of at least 8 characters.`,
  );
}
