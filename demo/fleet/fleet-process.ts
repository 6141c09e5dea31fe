import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import { Fatal, until } from './until.ts';

/** A process of the fleet, which can be killed and started again with the same name, ports and folder. */
export interface FleetProcess {
  readonly name: string;
  /** Of the process that runs now, or ran last; 0 before the first start. */
  readonly pid: number;
  readonly running: boolean;
  readonly logFile: string;
  /** Starts it and waits until it is ready. @throws ChangeoverError `StartFailed` with its last lines. */
  start(): Promise<void>;
  /** SIGKILL and SIGTERM resolve once it is gone; any other signal (SIGSTOP, SIGCONT) at once. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** SIGTERM, and SIGKILL after the grace. Safe to repeat. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  waitUntilReady(): Promise<void>;
}

export interface FleetProcessConfig {
  readonly name: string;
  /** Of the product's command line, such as `['agent', '--config', 'agent.json']`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly graceMs: number;
  readonly isReady: (pid: number) => Promise<boolean>;
  readonly onSpawn: (name: string, pid: number) => Promise<void>;
  /** Called where it ends although nobody here ended it. */
  readonly onUnexpectedEnd?: ((name: string, how: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const READY_TIMEOUT_MS = 60_000;

/** The compiled command line, also where this module runs from the sources (in a test). */
export const CLI = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/src/cli.js' : '../../src/cli.js', import.meta.url),
);

export function createFleetProcess(config: FleetProcessConfig): FleetProcess {
  let child: ChildProcess | undefined;
  let endedByUs = false;

  const running = (): boolean =>
    child?.pid !== undefined && child.exitCode === null && child.signalCode === null;

  async function waitUntilReady(): Promise<void> {
    const condition = async (): Promise<boolean> => {
      if (!running()) throw new Fatal(await startFailed(config, child));
      return config.isReady(child?.pid ?? 0);
    };
    await until(`${config.name} is ready`, condition, {
      timeoutMs: READY_TIMEOUT_MS,
      signal: config.signal,
    });
  }

  async function start(): Promise<void> {
    config.signal?.throwIfAborted();
    if (running()) return;
    endedByUs = false;
    const started = await spawnLogged(config);
    child = started;
    started.once('exit', () => {
      if (!endedByUs) config.onUnexpectedEnd?.(config.name, howItEnded(started));
    });
    await config.onSpawn(config.name, started.pid ?? 0);
    await waitUntilReady();
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child === undefined || !running()) return;
    const isFinal = signal === 'SIGKILL' || signal === 'SIGTERM';
    const exited = once(child, 'exit');
    if (isFinal) endedByUs = true;
    child.kill(signal);
    if (isFinal) await exited;
  }

  async function stop(): Promise<void> {
    endedByUs = true;
    if (child !== undefined) await endProcess(child, config.graceMs);
  }

  return {
    name: config.name,
    get pid() {
      return child?.pid ?? 0;
    },
    get running() {
      return running();
    },
    logFile: config.logFile,
    start,
    kill,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    waitUntilReady,
  };
}

async function spawnLogged({ args, env, logFile }: FleetProcessConfig): Promise<ChildProcess> {
  const log = await open(logFile, 'a');
  try {
    // In a session of its own: Ctrl-C on the terminal goes to us alone, and we decide in which order things end.
    const child = spawn(process.execPath, [CLI, ...args], {
      detached: true,
      env,
      stdio: ['ignore', log.fd, log.fd],
    });
    await once(child, 'spawn');
    bindToThisProcess(child);
    return child;
  } finally {
    await log.close();
  }
}

function howItEnded({ exitCode, signalCode }: ChildProcess): string {
  return signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`;
}

async function startFailed(
  { name, logFile }: FleetProcessConfig,
  child: ChildProcess | undefined,
): Promise<ChangeoverError> {
  const lines = await lastLines(logFile, 10);
  const how = child === undefined ? 'it was never started' : howItEnded(child);
  return new ChangeoverError(
    'StartFailed',
    `${name} does not run (${how}). Its last lines, in ${logFile}:\n${lines}`,
  );
}

export async function lastLines(file: string, count: number): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
