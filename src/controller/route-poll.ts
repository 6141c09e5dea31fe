import type { RouteTable } from '../domain/routes/table.ts';
import type { ServiceStore } from './service-store.ts';

export interface RoutePoll {
  /** The active table once it is newer than `version`; undefined if that did not happen within `waitMs`. */
  newerThan(
    service: string,
    options: { version: number; waitMs: number; signal: AbortSignal },
  ): Promise<RouteTable | undefined>;
  /** Ends all waiting, now and later. */
  close(): void;
}

/** Those who wait for newer routes (long poll). */
export function createRoutePoll(store: ServiceStore): RoutePoll {
  const waiting = new Set<(service?: string) => void>();
  let closed = false;
  store.onActivated((service) => waiting.forEach((wake) => wake(service)));

  return {
    newerThan(service, { version, waitMs, signal }) {
      const newer = (): RouteTable | undefined => {
        const { active } = store.get(service);
        return active.version > version ? active : undefined;
      };
      const now = newer();
      if (now !== undefined || closed || signal.aborted || waitMs === 0) return Promise.resolve(now);

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
    },
    close() {
      closed = true;
      waiting.forEach((wake) => wake());
    },
  };
}
