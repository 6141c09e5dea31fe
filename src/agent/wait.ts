import { setTimeout as delay } from 'node:timers/promises';

/** Asks until the answer is true, or the time (milliseconds) is over; says which. The first question is at once. */
export async function waitUntil(
  holds: () => boolean | Promise<boolean>,
  options: { timeoutMs: number; intervalMs: number },
): Promise<boolean> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    if (await holds()) return true;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(options.intervalMs, leftMs));
  }
}
