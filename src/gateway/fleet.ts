import type { Logger } from 'pino';
import type { RouteTable } from '../domain/routes/table.ts';
import type { GatewayServer } from '../protocol/gateway.ts';
import { Backend } from './backend.ts';
import type { GatewayTimeouts } from './config.ts';

/** All servers that this gateway has to do with: those of its table, and removed ones that still have business. */
export class Fleet {
  readonly #timeouts: GatewayTimeouts;
  readonly #logger: Logger;
  #current = new Map<string, Backend>();
  #retired = new Set<Backend>();

  constructor(options: { timeouts: GatewayTimeouts; logger: Logger }) {
    this.#timeouts = options.timeouts;
    this.#logger = options.logger;
  }

  get backends(): Iterable<Backend> {
    return this.#current.values();
  }

  /** Brings the servers in line with a table, at once and as a whole. */
  apply(table: RouteTable): void {
    const next = new Map<string, Backend>();
    for (const server of table.servers) {
      const known = this.#current.get(server.name);
      if (known !== undefined && known.origin === new URL(server.url).origin) {
        known.update(server);
        next.set(server.name, known);
      } else {
        next.set(server.name, new Backend(server, { timeouts: this.#timeouts, logger: this.#logger }));
      }
    }
    for (const [name, backend] of this.#current) {
      if (next.get(name) === backend) continue;
      backend.retire();
      this.#retired.add(backend);
    }
    this.#current = next;
    this.#forgetIdle();
  }

  /** In-flight business by server name; what a removed server still has counts under its name. */
  load(): GatewayServer[] {
    this.#forgetIdle();
    const byName = new Map<string, GatewayServer>();
    for (const backend of [...this.#current.values(), ...this.#retired]) {
      const before = byName.get(backend.name);
      byName.set(backend.name, {
        name: backend.name,
        inFlight: backend.inFlight + (before?.inFlight ?? 0),
        transactions: backend.transactions + (before?.transactions ?? 0),
        healthy: before?.healthy ?? backend.health.healthy,
      });
    }
    return [...byName.values()];
  }

  get inFlight(): number {
    let sum = 0;
    for (const backend of this.#current.values()) sum += backend.inFlight;
    for (const backend of this.#retired) sum += backend.inFlight;
    return sum;
  }

  async destroy(): Promise<void> {
    await Promise.all([...this.#current.values(), ...this.#retired].map((backend) => backend.destroy()));
  }

  #forgetIdle(): void {
    for (const backend of this.#retired) {
      if (backend.inFlight === 0) this.#retired.delete(backend);
    }
  }
}
