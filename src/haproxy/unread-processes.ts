import type { Logger } from 'pino';
import { processKey, type ProcessStat } from '../os/process-stat.ts';
import { connectedPorts } from './connected-ports.ts';

/**
 * HAProxy processes from before the one that serves that still end what they had under way: which it is, only a connection
 * to each of them could tell, from before they were replaced.
 */
export class UnreadProcesses {
  readonly #logger: Logger;
  /** Read to the end of their business, whoever else keeps them alive. */
  readonly #finished = new Set<string>();
  /** Those that were told of. */
  readonly #told = new Set<string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** From now on nobody has to wait for it. Undefined: the system does not tell which it is, nor that it is there. */
  finished(stat: ProcessStat | undefined): void {
    if (stat !== undefined) this.#finished.add(processKey(stat));
  }

  /**
   * To which ports each of `older` is connected that was not read; null where nobody knows.
   *
   * @param read - numbers of the processes that were read just now.
   */
  async portsOf(
    older: readonly ProcessStat[],
    read: readonly number[],
  ): Promise<readonly (ReadonlySet<number> | null)[]> {
    const unread = older.filter((one) => !this.#finished.has(processKey(one)) && !read.includes(one.pid));
    for (const one of unread.filter((each) => !this.#told.has(processKey(each)))) {
      this.#told.add(processKey(one));
      this.#logger.warn(
        { pid: one.pid },
        'an HAProxy process from before the start of this companion still ends its connections; what it has in flight cannot be read, so that a drain waits until it has no connection to the server',
      );
    }
    return Promise.all(unread.map(({ pid }) => connectedPorts(pid)));
  }
}
