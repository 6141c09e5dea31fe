import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ChangeoverError } from '../domain/errors.ts';
import { openLog } from './software-log.ts';

export interface CommandOutcome {
  readonly code: number | null;
  readonly timedOut: boolean;
}

/**
 * Runs a command that starts, stops or asks for the software, to its end. What it prints goes to the log: a pipe would
 * stay open as long as a daemon that it started lives.
 *
 * @throws ChangeoverError `Internal` if there is no such program.
 */
export async function runToEnd(
  argv: readonly string[],
  options: { cwd: string; env: Readonly<Record<string, string>>; timeoutMs: number; logPath: string },
): Promise<CommandOutcome> {
  const [program = '', ...args] = argv;
  const { file } = await openLog(options.logPath);
  try {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: ['ignore', file.fd, file.fd],
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
    });
    await once(child, 'exit');
    return { code: child.exitCode, timedOut: child.signalCode === 'SIGKILL' };
  } catch (cause) {
    throw new ChangeoverError('Internal', `${program} cannot be run: ${String(cause)}.`, { cause });
  } finally {
    await file.close();
  }
}

export function describeOutcome(argv: readonly string[], outcome: CommandOutcome, timeoutMs: number): string {
  const command = argv.join(' ');
  if (outcome.timedOut) return `"${command}" was killed after ${timeoutMs} ms`;
  return `"${command}" ended with exit code ${outcome.code ?? 'none'}`;
}
