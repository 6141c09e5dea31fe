import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Starts a script of this folder as a process of its own, and waits for what it tells first. */
export async function startChild(
  script: string,
  options: { args?: readonly string[]; execArgv?: readonly string[] } = {},
): Promise<{ process: ChildProcess; told: unknown }> {
  const path = fileURLToPath(new URL(`./${script}.js`, import.meta.url));
  const child = fork(path, [...(options.args ?? [])], { execArgv: [...(options.execArgv ?? [])] });
  const [told] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${script} ended before it was ready`))),
  ])) as unknown[];
  return { process: child, told };
}

export function tellParent(message: object): void {
  process.send?.(message);
  // Nobody is left to work for.
  process.once('disconnect', () => process.exit());
}

export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
