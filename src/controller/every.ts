import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';

/**
 * Runs `task` again and again, `intervalMs` after it ended, until `signal`. A failure is logged and does not end it.
 * Resolves when the last run is over.
 */
export async function every(
  intervalMs: number,
  task: () => Promise<void>,
  { signal, logger }: { signal: AbortSignal; logger: Logger },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await task();
    } catch (error) {
      logger.error({ err: error }, 'a periodic task failed');
    }
    // Rejects only because of the signal.
    await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}
