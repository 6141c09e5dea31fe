import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { endChild, startChild } from '../gateway/child.ts';

const seenSchema = z.object({
  id: z.number(),
  /** By version (old or new one, in turn), then by gateway. */
  lastArrivalMs: z.array(z.array(z.number())),
  failed: z.number(),
  omitted: z.number(),
  answered: z.number(),
});
export type Seen = z.infer<typeof seenSchema>;

const POLL_MS = 5;
/** Nothing more is expected of the old routes once the new ones were seen everywhere and this has passed without one. */
const QUIET_MS = 60;
const PATIENCE_MS = 20_000;

/** The clients and the servers of a run, in a process of their own. */
export interface Traffic extends AsyncDisposable {
  /** Where the servers of the two versions listen. */
  readonly ports: readonly number[];
  send(ports: readonly number[], ratePerSecond: number): void;
  stop(): void;
  seen(): Promise<Seen>;
  /** When the last request arrived at the servers of `side`, once every gateway sends to the other side only. */
  lastArrivalAt(side: number): Promise<number>;
}

export async function startTraffic(gateways: number): Promise<Traffic> {
  const { process: child, told } = await startChild('../routes/traffic-process', {
    args: [String(gateways)],
  });
  const { ports } = z.object({ ports: z.array(z.number()) }).parse(told);
  let asked = 0;

  async function seen(): Promise<Seen> {
    asked += 1;
    child.send({ do: 'tell', id: asked });
    for (;;) {
      const [answer] = (await once(child, 'message')) as unknown[];
      const said = seenSchema.parse(answer);
      if (said.id === asked) return said;
    }
  }

  return {
    ports,
    send: (to, ratePerSecond) => void child.send({ do: 'send', ports: to, ratePerSecond }),
    stop: () => void child.send({ do: 'stop' }),
    seen,
    async lastArrivalAt(side) {
      const deadline = performance.now() + PATIENCE_MS;
      for (;;) {
        const { lastArrivalMs, failed, omitted } = await seen();
        const old = lastArrivalMs[side] ?? [];
        const next = lastArrivalMs[1 - side] ?? [];
        if (next.every((at, gateway) => at > (old[gateway] ?? 0) + QUIET_MS)) return Math.max(...old);
        if (performance.now() > deadline) {
          const stuck = next.flatMap((at, gateway) => (at > (old[gateway] ?? 0) + QUIET_MS ? [] : [gateway]));
          throw new Error(
            `gateways ${stuck.join(', ')} do not send to the new version; ${failed} requests failed, ${omitted} were not sent`,
          );
        }
        await delay(POLL_MS);
      }
    },
    [Symbol.asyncDispose]: () => endChild(child),
  };
}
