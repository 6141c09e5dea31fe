import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ChangeoverError } from '../../src/domain/errors.ts';
import type { LoadConfig } from './load.ts';
import { loadLineSchema, type LoadSummary, type LoadTotals } from './summary.ts';

/** The load generator in a process of its own, so that it shares no event loop with what it measures. */
export interface LoadProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it said last; it speaks once a second. */
  latest(): LoadTotals | null;
  /**
   * Sends nothing new, waits for all that is under way, and the process ends. Safe to repeat.
   *
   * @throws ChangeoverError `Internal` if the process ended without a summary.
   */
  stop(): Promise<LoadSummary>;
}

// A process runs what was compiled, also when it is started from the sources (by a test).
const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/demo/load/main.js' : './main.js', import.meta.url),
);

/**
 * Starts the compiled load process, and resolves once it sends; it ends with the process that called this, at the latest.
 *
 * @throws ChangeoverError `Internal` if it cannot be started; what it complains of is on stderr.
 */
export async function spawnLoad(
  config: LoadConfig,
  hooks: { readonly onTotals?: (totals: LoadTotals) => void } = {},
): Promise<LoadProcess> {
  // The channel carries nothing: the child stops when it is gone, so that no load outlives who started it.
  const child = spawn(process.execPath, [MAIN, ...toArguments(config)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const { pid, stdout } = child;
  if (pid === undefined || stdout === null) throw ended();
  const exited = once(child, 'exit');
  const sending = once(stdout, 'data');
  let totals: LoadTotals | null = null;

  function ended(): ChangeoverError {
    return new ChangeoverError(
      'Internal',
      `The load process ended (exit code ${String(child.exitCode)}) without a summary; run "npm run build" if ${MAIN} is missing.`,
    );
  }

  async function read(lines: AsyncIterable<string>): Promise<LoadSummary> {
    for await (const text of lines) {
      const line = loadLineSchema.parse(JSON.parse(text));
      if (line.type === 'summary') return line.summary;
      totals = line.totals;
      hooks.onTotals?.(line.totals);
    }
    await exited;
    throw ended();
  }
  const summary = read(createInterface(stdout));
  // Whoever stops it gets the failure; until then it must not end the parent as an unhandled one.
  summary.catch(() => undefined);
  await Promise.race([sending, summary]);

  async function stop(): Promise<LoadSummary> {
    child.kill('SIGTERM');
    await exited;
    return summary;
  }

  return {
    pid,
    latest: () => totals,
    stop,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function toArguments(config: LoadConfig): string[] {
  const urls = typeof config.url === 'string' ? [config.url] : config.url;
  const weights = Object.entries(config.mix ?? {}).map(([kind, weight]) => `${kind}=${weight}`);
  return [
    ...['--rate', String(config.ratePerSecond)],
    ...(config.accounts === undefined ? [] : ['--accounts', String(config.accounts)]),
    ...(config.seed === undefined ? [] : ['--seed', String(config.seed)]),
    ...(weights.length === 0 ? [] : ['--mix', weights.join(',')]),
    ...(config.timeoutMs === undefined ? [] : ['--timeout', `${config.timeoutMs}ms`]),
    ...['--url', ...urls],
  ];
}
