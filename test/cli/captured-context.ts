import { runCli } from '../../src/cli/program.ts';
import type { ExitCode } from '../../src/cli/exit-code.ts';

export interface CliRun {
  readonly exitCode: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, with nothing of its environment, and keeps what it said. */
export async function runCaptured(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliRun> {
  const said = { out: '', err: '' };
  const exitCode = await runCli(argv, {
    env: { USER: 'anna', ...env },
    out: { write: (text) => (said.out += text) },
    err: { write: (text) => (said.err += text) },
  });
  return { exitCode, ...said };
}
