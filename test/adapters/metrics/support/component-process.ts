import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The file of a command on the path or in one of `folders`; null where it is not installed. */
export function findCommand(
  command: string,
  override: string | undefined,
  folders: readonly string[] = [],
): string | null {
  if (override !== undefined && override !== '') return override;
  const places = [...(process.env.PATH ?? '').split(delimiter), ...folders];
  return places.map((folder) => join(folder, command)).find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A server that runs as long as a test needs it; what it said is told when it does not come up. */
export class ComponentProcess implements AsyncDisposable {
  private output = '';
  private readonly child: ChildProcess;
  private readonly stopSignal: NodeJS.Signals;

  private constructor(child: ChildProcess, stopSignal: NodeJS.Signals) {
    this.child = child;
    this.stopSignal = stopSignal;

    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-4_000)));
    }
  }

  /** @param ready asked again and again until it does not throw */
  static async start(
    command: string,
    args: readonly string[],
    options: { spawn: SpawnOptions; stopSignal: NodeJS.Signals; ready: () => Promise<unknown> },
  ): Promise<ComponentProcess> {
    const child = spawn(command, args, { ...options.spawn, stdio: ['ignore', 'pipe', 'pipe'] });
    const process = new ComponentProcess(child, options.stopSignal);
    await once(child, 'spawn');
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${command} ended: ${process.output}`);
      try {
        await options.ready();
        return process;
      } catch {
        await pause(50);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill(this.stopSignal);
    await ended;
  }
}
