import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';

/** Waits for a line on its standard input; where it ends without one, whoever held it is dead, and the process goes too. */
const WATCH = 'trap "" INT TERM HUP; read -r _ || kill -TERM "$1" 2>/dev/null';

/** Children that go where this process ends by itself. One listener for all: a fleet has dozens. */
const bound = new Set<ChildProcess>();
process.on('exit', () => bound.forEach((child) => child.kill('SIGTERM')));

/**
 * Binds a child to the life of this process, also where this process is killed with SIGKILL: a tiny watcher in a session
 * of its own sees the pipe close and ends the child. It ends with the child. On Windows only an orderly exit is covered.
 */
export function bindToThisProcess(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  bound.add(child);
  child.once('exit', () => bound.delete(child));
  if (process.platform === 'win32') return;

  const watcher = spawn('sh', ['-c', WATCH, 'sh', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  // Neither the watcher nor the pipe to it keeps this process from ending.
  watcher.unref();
  if (watcher.stdin instanceof Socket) watcher.stdin.unref();
  child.once('exit', () => watcher.stdin.end('over\n'));
}

/** SIGTERM, and SIGKILL for what has not ended after the grace. Returns once it is gone. */
export async function endProcess(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  child.kill('SIGTERM');
  await exited;
  clearTimeout(force);
}
