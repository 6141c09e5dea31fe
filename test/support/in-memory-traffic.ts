import type { RouteTable } from '../../src/domain/routes/table.ts';
import type { TrafficAnswer } from '../../src/protocol/controller.ts';

/** What gateways count of a world in memory: the same number of requests for each version that is open, at each reading. */
export class InMemoryTraffic {
  readonly counted = new Map<string, { allocated: number; volume: number }>();
  readonly #moved = new Map<string, number>();

  /** What was counted so far, with as much more as comes between two readings. */
  read(
    table: RouteTable,
    more: {
      readonly rates: Readonly<Record<string, number>>;
      readonly requestsPerReading: number;
      readonly movedPerReading: Readonly<Record<string, number>>;
    },
  ): Pick<TrafficAnswer, 'counts'> {
    const pulled = new Set(table.split?.pulled ?? []);
    for (const version of new Set(table.servers.filter((s) => s.ingress === 'open').map((s) => s.release))) {
      if (pulled.has(version)) continue;
      const before = this.counted.get(version) ?? { allocated: 0, volume: 0 };
      this.counted.set(version, {
        allocated: before.allocated + more.requestsPerReading,
        volume: before.volume + Math.round(more.requestsPerReading * (more.rates[version] ?? 0)),
      });
    }
    for (const [version, moved] of Object.entries(more.movedPerReading)) {
      this.#moved.set(version, (this.#moved.get(version) ?? 0) + moved);
    }
    const moved = [...this.#moved].map(
      ([release, allocated]) => [release, { allocated, volume: 0 }] as const,
    );
    const rows = [
      ...[...this.counted].map((row) => ['all', ...row] as const),
      ...moved.map((row) => ['failover', ...row] as const),
    ];
    return {
      counts: rows.map(([bucket, release, { allocated, volume }]) => ({
        release,
        cluster: '',
        server: release,
        bucket,
        requests: allocated,
        allocated,
        succeeded: allocated,
        clientErrors: 0,
        serverErrors: 0,
        failed: 0,
        aborted: 0,
        slow: 0,
        volumeCount: volume,
        volumeAmount: volume,
        latency: [],
        latencySumMs: 0,
      })),
    };
  }
}
