import { setTimeout as delay } from 'node:timers/promises';

/**
 * Asks until the answer is true, or the time (milliseconds) is over; says which. The first question is at once; the
 * pause between two may depend on how long it waits already.
 */
export async function waitUntil(
  holds: () => boolean | Promise<boolean>,
  options: { timeoutMs: number; intervalMs: number | ((waitedMs: number) => number) },
): Promise<boolean> {
  const { timeoutMs, intervalMs } = options;
  const begunAt = performance.now();
  for (;;) {
    if (await holds()) return true;
    const waitedMs = performance.now() - begunAt;
    if (waitedMs >= timeoutMs) return false;
    const pauseMs = typeof intervalMs === 'number' ? intervalMs : intervalMs(waitedMs);
    await delay(Math.min(pauseMs, timeoutMs - waitedMs));
  }
}
