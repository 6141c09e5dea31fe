import { setTimeout as delay } from 'node:timers/promises';
import { ChangeoverError } from '../../src/domain/errors.ts';

const POLL_MS = 50;

/**
 * Waits until the condition holds. A condition that throws does not hold yet; the last reason is in the message.
 *
 * @throws ChangeoverError `Internal` after `timeoutMs`; the reason of `signal` where that ended it.
 */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let reason = '';
  for (;;) {
    signal?.throwIfAborted();
    try {
      if (await condition()) return;
      reason = '';
    } catch (error) {
      if (error instanceof Fatal) throw error.cause;
      reason = ` (${error instanceof Error ? error.message : String(error)})`;
    }
    if (performance.now() > deadline) {
      throw new ChangeoverError('Internal', `Waited ${timeoutMs / 1000} s in vain: ${what}${reason}.`);
    }
    await delay(POLL_MS);
  }
}

/** Thrown by a condition that can never hold any more. */
export class Fatal extends Error {
  constructor(cause: unknown) {
    super('fatal', { cause });
  }
}
