import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { ChangeoverError } from '../src/domain/errors.ts';

export interface BusinessProcessConfig {
  /** Folder of an unpacked package. */
  readonly folder: string;
  /** 0 (the default): any free port. */
  readonly port?: number;
  /** What its answers say in `x-server`; by default host and port. */
  readonly name?: string;
  /** File to which it appends a line at each start, stop and exit. */
  readonly recordFile?: string;
}

/** The demo's business without an agent, for benches and tests. */
export interface BusinessProcess extends AsyncDisposable {
  /** Runs it, and resolves once it listens. @throws ChangeoverError `StartFailed` with what it printed on stderr. */
  start(): Promise<{ url: string; pid: number }>;
  /** SIGTERM, and resolves once it is gone, after the last answer. Safe to repeat. */
  close(): Promise<void>;
  /** SIGKILL: what is in flight is lost. */
  kill(): Promise<void>;
}

const LISTENING = /serves on (http:\/\/\S+)/;

export function createBusinessProcess(config: BusinessProcessConfig): BusinessProcess {
  let child: ChildProcess | undefined;

  async function start(): Promise<{ url: string; pid: number }> {
    const { port = 0, name, recordFile } = config;
    const running = spawn(process.execPath, ['server.js'], {
      cwd: config.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PORT: String(port),
        ...(name === undefined ? {} : { SERVER_NAME: name }),
        ...(recordFile === undefined ? {} : { RECORD_FILE: recordFile }),
      },
    });
    child = running;
    let complaint = '';
    running.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    for await (const line of createInterface(running.stdout)) {
      const url = LISTENING.exec(line)?.[1];
      if (url === undefined || running.pid === undefined) continue;
      running.stdout.resume();
      return { url, pid: running.pid };
    }
    throw new ChangeoverError(
      'StartFailed',
      `The business in ${config.folder} did not start:\n${complaint.trim()}`,
    );
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  const close = (): Promise<void> => end('SIGTERM');
  return { start, close, kill: () => end('SIGKILL'), [Symbol.asyncDispose]: close };
}
