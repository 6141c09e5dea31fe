import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';

/** So long a process that is on its way is waited for, in milliseconds: it loads the configuration, and its maps. */
const SUCCESSOR_MS = 10_000;

/** Other processes under the master of an HAProxy worker, as the system lists them. */
export interface WorkersBeside {
  /** The master reads its configuration, and with it files as they were some time ago: a new worker is to come of it. */
  readonly loading: boolean;
  /** Started after this worker: about to take its place. */
  readonly newer: readonly number[];
  /** Started before it, and still ending what they had under way. */
  readonly older: readonly number[];
}

interface Stat {
  readonly pid: number;
  readonly name: string;
  readonly parent: number;
  /** Clock ticks since the system's start. */
  readonly started: number;
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
  readonly #stuck = new Set<number>();
  #awaitedSinceMs: number | null = null;

  constructor({ onThisMachine, logger }: { onThisMachine: boolean; logger: Logger }) {
    this.#onThisMachine = onThisMachine;
    this.#logger = logger;
  }

  async beside(pid: number): Promise<WorkersBeside | null> {
    return this.#onThisMachine ? workersBeside(pid) : null;
  }

  /** Whether another process is about to take this one's place, as far as the system tells. To be asked again and again. */
  async hasSuccessor(pid: number): Promise<boolean> {
    const beside = await this.beside(pid);
    const newer = beside?.newer.filter((one) => !this.#stuck.has(one)) ?? [];
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
    for (const one of newer) this.#stuck.add(one);
    return false;
  }
}

async function workersBeside(pid: number): Promise<WorkersBeside | null> {
  const worker = await statOf(pid);
  const master = worker === null ? null : await statOf(worker.parent);
  if (worker === null || master === null) return null;
  if (!worker.name.startsWith('haproxy') || master.name !== worker.name) return null;
  const [children, command] = await Promise.all([
    contentOf(`/proc/${master.pid}/task/${master.pid}/children`),
    contentOf(`/proc/${master.pid}/cmdline`),
  ]);
  if (children === null || command === null) return null;
  const pids = children.trim().split(' ').filter(Boolean).map(Number);
  const others = (await Promise.all(pids.filter((other) => other !== pid).map(statOf)))
    .filter((stat) => stat !== null)
    .filter(({ name }) => name === worker.name);
  const isNewer = (stat: Stat): boolean =>
    stat.started > worker.started || (stat.started === worker.started && stat.pid > worker.pid);
  return {
    loading: command.split('\0').includes('-sf'),
    newer: others.filter(isNewer).map((stat) => stat.pid),
    older: others.filter((stat) => !isNewer(stat)).map((stat) => stat.pid),
  };
}

/** Fields 2, 4 and 22 of /proc/pid/stat (proc_pid_stat(5)); null where there is no such process, or a dead one. */
async function statOf(pid: number): Promise<Stat | null> {
  const text = await contentOf(`/proc/${pid}/stat`);
  if (text === null) return null;
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return null;
  const name = text.slice(text.indexOf('(') + 1, end);
  return { pid, name, parent: Number(fields[1]), started: Number(fields[19]) };
}

function contentOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}
