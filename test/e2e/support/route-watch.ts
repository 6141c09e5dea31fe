import { setTimeout as delay } from 'node:timers/promises';
import { request } from 'undici';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import type { RouteTable } from '../../../src/domain/routes/table.ts';
import { routeTableSchema } from '../../../src/protocol/routes.ts';

/** The table that a gateway executed at some moment between `from` and `to` (epoch milliseconds). */
export interface RouteSample {
  readonly gateway: string;
  readonly from: number;
  readonly to: number;
  readonly table: RouteTable;
}

/** Looks at what every gateway executes, over and over, for as long as it runs. */
export interface RouteWatch extends AsyncDisposable {
  /** In the order in which they were taken. */
  readonly samples: readonly RouteSample[];
}

const EVERY_MS = 60;

export function watchRoutes(fleet: Fleet): RouteWatch {
  const samples: RouteSample[] = [];
  const stop = new AbortController();

  async function watch({ name, adminUrl }: Fleet['gateways'][number]): Promise<void> {
    while (!stop.signal.aborted) {
      const from = Date.now();
      const table = await executedBy(adminUrl);
      if (table !== undefined) samples.push({ gateway: name, from, to: Date.now(), table });
      await delay(EVERY_MS);
    }
  }
  const watching = Promise.all(fleet.gateways.map(watch));

  return {
    samples,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await watching;
    },
  };
}

/** Undefined where the gateway is away. */
export async function executedBy(adminUrl: string): Promise<RouteTable | undefined> {
  try {
    const { statusCode, body } = await request(`${adminUrl}/v1/routes`, {
      signal: AbortSignal.timeout(1_000),
    });
    const answer: unknown = await body.json();
    return statusCode === 200 ? routeTableSchema.parse(answer) : undefined;
  } catch {
    return undefined;
  }
}

/** What each gateway executed, in order. */
export function samplesByGateway(samples: readonly RouteSample[]): Map<string, RouteSample[]> {
  const groups = new Map<string, RouteSample[]>();
  for (const sample of samples) {
    groups.set(sample.gateway, [...(groups.get(sample.gateway) ?? []), sample]);
  }
  return groups;
}
