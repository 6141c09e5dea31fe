import type { Logger } from 'pino';
import type { Exclusive } from './exclusive.ts';
import type { Releases } from './releases.ts';
import type { Software } from './software.ts';

const TICK_MS = 250;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Software that ran this long had started well: its next end counts as the first. */
const STABLE_MS = 60_000;

/**
 * Starts the current release when the agent starts, and, where nobody else does, whenever it ended by itself: at once,
 * then after growing pauses. While an upgrade is under way it keeps its hands off.
 */
export interface Supervisor {
  start(): void;
  close(): Promise<void>;
}

export function createSupervisor(deps: {
  software: Software;
  releases: Releases;
  logger: Logger;
  upgrading: () => boolean;
  exclusive: Exclusive;
}): Supervisor {
  let timer: NodeJS.Timeout | undefined;
  let ticking: Promise<void> = Promise.resolve();
  let closed = false;
  let restarts = 0;
  let startedAtMs = -Infinity;

  const backoffMs = (): number =>
    restarts === 0 ? 0 : Math.min(FIRST_BACKOFF_MS * 2 ** (restarts - 1), MAX_BACKOFF_MS);

  const tick = async (): Promise<void> => {
    const nowMs = performance.now();
    const current = await deps.releases.current();
    const now = await deps.software.running();
    if (now.state !== 'stopped' || !current) return;
    if (nowMs - startedAtMs > Math.max(STABLE_MS, backoffMs())) restarts = 0;
    if (nowMs - startedAtMs < backoffMs()) return;
    deps.logger.warn(
      { release: current.name, exit: now.exit, restarts },
      'the software does not run: it is started',
    );
    restarts += 1;
    startedAtMs = nowMs;
    await deps.software.start(current);
  };

  const schedule = (): void => {
    if (closed || !deps.software.supervised) return;
    timer = setTimeout(() => void turn(), TICK_MS);
  };

  const turn = (): Promise<void> => {
    ticking = deps
      .exclusive(async () => {
        if (!closed && !deps.upgrading()) await tick();
      })
      .catch((error: unknown) => deps.logger.error({ err: error }, 'the software could not be started'))
      .finally(schedule);
    return ticking;
  };

  return {
    start: () => void turn(),
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await ticking;
    },
  };
}
