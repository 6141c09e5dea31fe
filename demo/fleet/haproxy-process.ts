import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { identityOf, liveGroup, signal as sendSignal } from '../../src/agent/os-process.ts';
import { bindToThisProcess } from '../../src/dev-server/bound-process.ts';
import { until } from './until.ts';

const WORKERS_END_MS = 10_000;

/** A real HAProxy in master-worker mode, as a system service runs it: reloaded by SIGUSR2 to its master. */
export class HaproxyProcess implements AsyncDisposable {
  readonly #command: string;
  readonly #configFile: string;
  readonly #onOutput: (text: string) => void;
  readonly #env: NodeJS.ProcessEnv;
  readonly #logFile: string | undefined;
  #master: ChildProcess | null = null;

  constructor(parts: {
    command: string;
    configFile: string;
    env?: NodeJS.ProcessEnv;
    logFile?: string;
    onOutput?: (text: string) => void;
  }) {
    this.#command = parts.command;
    this.#configFile = parts.configFile;
    this.#env = parts.env ?? process.env;
    this.#logFile = parts.logFile;
    this.#onOutput = parts.onOutput ?? (() => undefined);
  }

  /** Of the master. */
  get pid(): number | undefined {
    return this.#master?.pid;
  }

  get running(): boolean {
    return this.#master !== null && this.#master.exitCode === null && this.#master.signalCode === null;
  }

  start(): void {
    const master = spawn(this.#command, ['-W', '-f', this.#configFile], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#env,
      // Ctrl-C on the terminal goes to us alone.
      detached: true,
    });
    bindToThisProcess(master);
    if (this.#logFile !== undefined) {
      const log = createWriteStream(this.#logFile, { flags: 'a' });
      master.stdout.pipe(log, { end: false });
      master.stderr.pipe(log, { end: false });
      master.once('close', () => log.end());
    }
    master.stdout.on('data', (chunk: Buffer) => this.#onOutput(chunk.toString()));
    master.stderr.on('data', (chunk: Buffer) => this.#onOutput(chunk.toString()));
    this.#master = master;
  }

  /** A new worker takes over; the old one finishes what it has under way. */
  reload(): void {
    this.#master?.kill('SIGUSR2');
  }

  /** Without finishing anything: master and workers. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const master = this.#master;
    this.#master = null;
    if (master === null || master.exitCode !== null || master.signalCode !== null) return;
    const ended = once(master, 'exit');
    const leader = master.pid === undefined ? undefined : identityOf(master.pid);
    if (signal === 'SIGKILL' && master.pid !== undefined) sendSignal(-master.pid, signal);
    else master.kill(signal);
    await ended;
    // A worker that is still there holds the sockets that the next start needs.
    if (leader === undefined) return;
    await until('HAProxy’s workers end', async () => liveGroup(leader).length === 0, {
      timeoutMs: WORKERS_END_MS,
    });
  }
}
