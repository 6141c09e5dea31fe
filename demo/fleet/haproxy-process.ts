import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { identityOf, liveGroup, signal as sendSignal } from '../../src/agent/os-process.ts';
import { bindToThisProcess } from '../../src/dev-server/bound-process.ts';
import { until } from './until.ts';

const WORKERS_END_MS = 10_000;
const RELOAD_TIMEOUT_MS = 20_000;
/** A reload that left no trace for so long was not taken notice of, in milliseconds. */
const ASK_AGAIN_MS = 2_000;
/** What a master says (mworker.c, haproxy.c). */
const SAYS = {
  reloading: /Reloading HAProxy/g,
  loaded: /Loading success/g,
  failed: /Loading failure|Fatal errors found in configuration/g,
} as const;

/** A real HAProxy in master-worker mode, as a system service runs it: reloaded by SIGUSR2 to its master. */
export class HaproxyProcess implements AsyncDisposable {
  readonly #command: string;
  readonly #configFile: string;
  readonly #onOutput: (text: string) => void;
  readonly #env: NodeJS.ProcessEnv;
  readonly #logFile: string | undefined;
  #master: ChildProcess | null = null;
  /** What this master said so far. */
  #said = '';
  #reloading: Promise<unknown> = Promise.resolve();

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
    this.#said = '';
    const hear = (chunk: Buffer): void => {
      const text = chunk.toString();
      if (this.#master === master) this.#said += text;
      this.#onOutput(text);
    };
    master.stdout.on('data', hear);
    master.stderr.on('data', hear);
    this.#master = master;
  }

  /**
   * A new worker takes over; the old one finishes what it has under way. Resolves once the new one was started for this
   * very reload: a master that has just started a worker executes itself anew, and a signal that comes right then is lost,
   * so that it is asked again.
   *
   * @throws Error with what HAProxy said if it does not load its configuration, or is not there.
   */
  reload(): Promise<void> {
    const done = this.#reloading.then(() => this.#reload());
    this.#reloading = done.catch(() => undefined);
    return done;
  }

  async #reload(): Promise<void> {
    const heard = (what: RegExp): number => [...this.#said.matchAll(what)].length;
    const within = { timeoutMs: RELOAD_TIMEOUT_MS };
    await until('HAProxy has started', async () => heard(SAYS.loaded) > 0, within);
    const from = this.#said.length;
    const before = {
      reloading: heard(SAYS.reloading),
      loaded: heard(SAYS.loaded),
      failed: heard(SAYS.failed),
    };
    let askedMs = -Infinity;
    await until(
      'HAProxy reloads',
      async () => {
        if (heard(SAYS.reloading) === before.reloading && performance.now() - askedMs > ASK_AGAIN_MS) {
          this.#master?.kill('SIGUSR2');
          askedMs = performance.now();
        }
        return !this.running || heard(SAYS.loaded) > before.loaded || heard(SAYS.failed) > before.failed;
      },
      within,
    );
    if (heard(SAYS.loaded) === before.loaded)
      throw new Error(`HAProxy did not reload: ${this.#said.slice(from).trim()}`);
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
