import { execFile } from 'node:child_process';
import { CLI } from '../../../demo/fleet/fleet-process.ts';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import { findTemporal } from '../../../src/dev-server/find-temporal.ts';

export interface CommandResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const TIMEOUT_MS = 60_000;

/** The product's command line, as an operator types it. */
export function changeover({ env }: Pick<Fleet, 'env'>, ...args: string[]): Promise<CommandResult> {
  return run(process.execPath, [CLI, ...args], env);
}

/** Temporal's own command line: a client with no code of ours. */
export async function temporal({ env }: Pick<Fleet, 'env'>, ...args: string[]): Promise<CommandResult> {
  return run(await findTemporal(), args, env);
}

function run(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    execFile(file, args, { env, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) => {
      if (error === null) resolve({ code: 0, out, err });
      else if (typeof error.code === 'number') resolve({ code: error.code, out, err });
      else reject(new Error(`${args.join(' ')}: ${error.message}\n${out}\n${err}`));
    });
  });
}
