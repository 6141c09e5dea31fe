import { execFile } from 'node:child_process';
import { watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { parseBusinessLines } from './restarts.ts';

const run = promisify(execFile);

/** Lowest real-time priority: above every process of the ordinary kind, whatever its nice value (sched(7)). */
const PRIORITY = '1';

/**
 * What carries the measured requests goes first on the processor. In production gateways, servers and clients do not
 * share two cores with Temporal, the worker, and the starts of other servers' software; here they do, and a start that
 * keeps both cores busy for 100 ms would be measured as latency of the upgrade.
 */
export interface OwnProcessor extends AsyncDisposable {
  /** False where the system does not allow it (chrt of util-linux, and root or CAP_SYS_NICE): then all share. */
  readonly granted: boolean;
}

/** For the load, the gateways, and the servers that serve; software that is only starting waits like everybody else. */
export async function ownProcessor(fleet: Fleet, loadPid: number): Promise<OwnProcessor> {
  const carriers = [loadPid, ...fleet.gateways.map(({ pid }) => pid)];
  const granted = (await Promise.all(carriers.map(putFirst))).every(Boolean);
  if (!granted) return { granted, [Symbol.asyncDispose]: async () => undefined };

  const pending = new Set<Promise<unknown>>();
  const inBackground = (work: Promise<unknown>): void => {
    const running = work.finally(() => pending.delete(running));
    pending.add(running);
  };
  const watchers = fleet.servers.map(({ recordFile }): FSWatcher => {
    inBackground(putServingFirst(recordFile));
    // The business appends a line when it serves.
    return watch(recordFile, () => inBackground(putServingFirst(recordFile)));
  });
  await Promise.all(pending);
  return {
    granted,
    [Symbol.asyncDispose]: async () => {
      for (const watcher of watchers) watcher.close();
      await Promise.all(pending);
    },
  };
}

async function putServingFirst(recordFile: string): Promise<void> {
  const last = parseBusinessLines(await readFile(recordFile, 'utf8')).at(-1);
  if (last?.event === 'start') await putFirst(last.pid);
}

/** False where it is not allowed, or the process is gone. */
async function putFirst(pid: number): Promise<boolean> {
  try {
    await run('chrt', ['--all-tasks', '--rr', '--pid', PRIORITY, String(pid)]);
    return true;
  } catch {
    return false;
  }
}
