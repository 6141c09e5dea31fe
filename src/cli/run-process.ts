import { constants } from 'node:os';
import type { Logger } from 'pino';

/** A process that was composed: what starts it, what ends it. */
export interface LongRunning {
  /** Resolves once it works; `failed` rejects where it breaks down later. */
  start(): Promise<{ readonly failed?: Promise<unknown> } | undefined>;
  /** Finishes what is under way. */
  close(): Promise<void>;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs until SIGTERM or SIGINT, then closes in order: what is in flight is finished. A second signal forces the end,
 * with the exit code that a shell gives it.
 */
export async function runProcess(service: LongRunning, logger: Logger): Promise<void> {
  let stop: (() => void) | undefined;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  let isStopping = false;
  const onSignal = (signal: (typeof SIGNALS)[number]) => {
    if (isStopping) process.exit(128 + constants.signals[signal]);
    isStopping = true;
    logger.info({ signal }, 'stopping; a second signal forces it');
    stop?.();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    const started = await service.start();
    await Promise.race([stopped, started?.failed ?? stopped]);
  } finally {
    await service.close();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
  logger.info('stopped');
}
