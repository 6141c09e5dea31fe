import { isSlot } from './layout.ts';
import type { RuntimeConnection } from './runtime-api.ts';
import { readServers, type ServerRow } from './runtime-answers.ts';

/**
 * The servers of a service's slots, as an HAProxy process said itself. They are the same for as long as the process lives,
 * and nobody but the companion should change them: with thousands of them, asking each time for all takes longer than
 * what is done with the answer.
 */
export class ServerList {
  readonly #service: string;
  #known: { readonly connection: RuntimeConnection; readonly rows: readonly ServerRow[] } | null = null;

  constructor(service: string) {
    this.#service = service;
  }

  /** What is known of the process behind `connection`, or what it says now. */
  async of(connection: RuntimeConnection): Promise<{ rows: readonly ServerRow[]; isRemembered: boolean }> {
    if (this.#known?.connection === connection) return { rows: this.#known.rows, isRemembered: true };
    const [answer = ''] = await connection.send(['show servers state']);
    const rows = readServers(answer).filter((row) => isSlot(this.#service, row));
    this.#known = { connection, rows };
    return { rows, isRemembered: false };
  }

  /** From now on they are not what they were. */
  forget(): void {
    this.#known = null;
  }

  /** Asks anew for those of `backends`; the others are as they are in `rows`. */
  async readBack(
    connection: RuntimeConnection,
    { rows, backends }: { rows: readonly ServerRow[]; backends: ReadonlySet<string> },
  ): Promise<ServerRow[]> {
    const answers = await connection.send([...backends].map((backend) => `show servers state ${backend}`));
    return [...answers.flatMap(readServers), ...rows.filter(({ backend }) => !backends.has(backend))];
  }

  know(connection: RuntimeConnection, rows: readonly ServerRow[]): void {
    this.#known = { connection, rows };
  }
}
