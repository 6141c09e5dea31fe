import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { isNotShown } from '../os/not-shown.ts';
import { processKey, type ProcessStat, readProcessStat } from '../os/process-stat.ts';

/** So long a process that is on its way is waited for, in milliseconds: it loads the configuration, and its maps. */
const SUCCESSOR_MS = 10_000;

/** Other processes under the master of an HAProxy worker, as the system lists them. */
export interface WorkersBeside {
  /** The master reads its configuration, and with it files as they were some time ago: a new worker is to come of it. */
  readonly loading: boolean;
  /** Started after this worker: about to take its place. */
  readonly newer: readonly ProcessStat[];
  /** Started before it, and still ending what they had under way. */
  readonly older: readonly ProcessStat[];
}

/**
 * What HAProxy itself cannot tell of its other processes by the Runtime API of one of them. Null where the system does not
 * show them: not Linux, HAProxy in a container of its own, or without a master (`-W`, `-Ws`).
 *
 * A master that loads its configuration was executed with `-sf` and the numbers of its workers (mworker.c), and executes
 * itself once more without them when that is done; in newer versions a new worker does the loading.
 */
export class WorkerProcesses {
  readonly #onThisMachine: boolean;
  readonly #logger: Logger;
  /** A master that seems to load for ever is of a version of which its arguments do not tell. */
  #tellsLoading = true;
  /** Took nobody's place for long. */
  readonly #stuck = new Set<string>();
  #awaitedSinceMs: number | null = null;

  constructor({ onThisMachine, logger }: { onThisMachine: boolean; logger: Logger }) {
    this.#onThisMachine = onThisMachine;
    this.#logger = logger;
  }

  beside(pid: number): WorkersBeside | null {
    return this.#onThisMachine ? workersBeside(pid) : null;
  }

  /** Whether another process is about to take this one's place, as far as the system tells. To be asked again and again. */
  hasSuccessor(pid: number): boolean {
    const beside = this.beside(pid);
    const newer = beside?.newer.filter((one) => !this.#stuck.has(processKey(one))) ?? [];
    const loading = beside?.loading === true && this.#tellsLoading;
    if (!loading && newer.length === 0) {
      this.#awaitedSinceMs = null;
      return false;
    }
    this.#awaitedSinceMs ??= performance.now();
    if (performance.now() - this.#awaitedSinceMs < SUCCESSOR_MS) return true;
    this.#logger.warn({ ...beside }, 'HAProxy seems to be reloaded, but no new process takes over');
    this.#awaitedSinceMs = null;
    if (loading) this.#tellsLoading = false;
    for (const one of newer) this.#stuck.add(processKey(one));
    return false;
  }
}

function workersBeside(pid: number): WorkersBeside | null {
  const worker = liveStat(pid);
  const master = worker === undefined ? undefined : liveStat(worker.parent);
  if (worker === undefined || master === undefined) return null;
  if (!worker.name.startsWith('haproxy') || master.name !== worker.name) return null;
  const children = contentOf(`/proc/${master.pid}/task/${master.pid}/children`);
  const command = contentOf(`/proc/${master.pid}/cmdline`);
  if (children === null || command === null) return null;
  const pids = children.trim().split(' ').filter(Boolean).map(Number);
  const others = pids
    .filter((other) => other !== pid)
    .map(liveStat)
    .filter((stat) => stat !== undefined)
    .filter(({ name }) => name === worker.name);
  const isNewer = (stat: ProcessStat): boolean =>
    stat.started > worker.started || (stat.started === worker.started && stat.pid > worker.pid);
  return {
    loading: command.split('\0').includes('-sf'),
    newer: others.filter(isNewer),
    older: others.filter((stat) => !isNewer(stat)),
  };
}

function liveStat(pid: number): ProcessStat | undefined {
  const stat = readProcessStat(pid);
  return stat?.isLive === true ? stat : undefined;
}

/** Of /proc, which never waits for a disk. @throws Error where it is there and cannot be read: what is not known is not nothing. */
function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!isNotShown(error)) throw error;
    return null;
  }
}
