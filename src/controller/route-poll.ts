import type { RouteTable } from '../domain/routes/table.ts';
import type { ServiceStore } from './service-store.ts';

export interface RoutePoll {
  /**
   * The active table once it is newer than `version`; undefined if that did not happen within `waitMs`. One that `isTaken`
   * says whoever waits has by now is not news.
   */
  newerThan(
    service: string,
    options: {
      version: number;
      waitMs: number;
      isTaken: () => Promise<boolean>;
      signal: AbortSignal;
    },
  ): Promise<RouteTable | undefined>;
  /** Ends all waiting, now and later. */
  close(): void;
}

/** Those who wait for newer routes (long poll). */
export function createRoutePoll(store: ServiceStore): RoutePoll {
  const waiting = new Set<(service?: string) => void>();
  let closed = false;
  store.onActivated((service) => waiting.forEach((wake) => wake(service)));

  function activated(
    service: string,
    { version, waitMs, signal }: { version: number; waitMs: number; signal: AbortSignal },
  ): Promise<RouteTable | undefined> {
    const newer = (): RouteTable | undefined => {
      const { active } = store.get(service);
      return active.version > version ? active : undefined;
    };
    const now = newer();
    if (now !== undefined || closed || signal.aborted || waitMs <= 0) return Promise.resolve(now);

    return new Promise((resolve) => {
      /** By an activation (of `changed`), or without a name by the end of waiting. */
      const wake = (changed?: string): void => {
        if (changed !== undefined && (changed !== service || newer() === undefined)) return;
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        waiting.delete(wake);
        resolve(newer());
      };
      const end = (): void => wake();
      const timer = setTimeout(end, waitMs);
      signal.addEventListener('abort', end);
      waiting.add(wake);
    });
  }

  return {
    async newerThan(service, { version, waitMs, isTaken, signal }) {
      const untilMs = performance.now() + waitMs;
      let known = version;
      for (;;) {
        const leftMs = untilMs - performance.now();
        const table = await activated(service, { version: known, waitMs: leftMs, signal });
        if (table === undefined || !(await isTaken())) return table;
        known = store.get(service).active.version;
      }
    },
    close() {
      closed = true;
      waiting.forEach((wake) => wake());
    },
  };
}
