import type { Logger } from 'pino';
import type { TrafficCount } from '../domain/measure.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { GatewayServer, GatewayStats, GatewayUnits } from '../protocol/gateway.ts';
import type { AccountReader } from './account-reader.ts';
import { type CountLedger } from './count-ledger.ts';
import { countsOf } from './count-rows.ts';
import type { HaproxyPlane } from './haproxy-plane.ts';
import { TABLES } from './layout.ts';
import { argument, type RuntimeConnection } from './runtime-api.ts';
import { FEW_SERVERS, transactionsByServer } from './runtime-changes.ts';
import { readProcess, readServerStats, readTable, type ServerStat } from './runtime-answers.ts';
import { readSlots } from './slot-stats.ts';

/** The frontends, with the connections of clients. */
const FRONTEND_STATS = 'show stat -1 1 -1';

/** Reads what HAProxy processes counted and have under way: the one that runs, and old ones that still finish. */
export class TrafficReader {
  readonly #gateway: string;
  readonly #service: string;
  readonly #plane: HaproxyPlane;
  readonly #ledger: CountLedger;
  readonly #accounts: AccountReader;
  readonly #logger: Logger;
  readonly #old = new Set<RuntimeConnection>();
  readonly #clusters = new Map<string, string>();

  constructor(parts: {
    gateway: string;
    service: string;
    plane: HaproxyPlane;
    ledger: CountLedger;
    accounts: AccountReader;
    logger: Logger;
  }) {
    this.#gateway = parts.gateway;
    this.#service = parts.service;
    this.#plane = parts.plane;
    this.#ledger = parts.ledger;
    this.#accounts = parts.accounts;
    this.#logger = parts.logger;
  }

  /** A process that was replaced: read until it has nothing under way, which the connection keeps it alive for. */
  keep(old: RuntimeConnection): void {
    this.#old.add(old);
  }

  /** @throws ChangeoverError `GatewayUnreachable` while HAProxy does not answer. */
  async stats(): Promise<GatewayStats> {
    const { connection, process, version } = await this.#plane.executing();
    const [now, ...before] = await Promise.all([
      this.#read(connection),
      ...[...this.#old].map((old) => this.#readOld(old)),
    ]);
    await this.#readUnits(connection, process);
    await this.#ledger.save();
    await this.#forgetUnits(connection);
    const transactions = await this.#transactions(connection);
    const servers = loadOf(
      [now, ...before].flat(),
      transactions,
      this.#plane.table?.servers.map(({ name }) => name),
    );
    const units = this.#report(this.#plane.table);
    return {
      ...(units === undefined ? {} : { units }),
      gateway: this.#gateway,
      service: this.#service,
      epoch: this.#ledger.epoch,
      tableVersion: version,
      servers,
      counts: this.#ledger.totals().filter(({ requests }) => requests > 0),
    };
  }

  async #read(connection: RuntimeConnection, replaced = false): Promise<ServerStat[]> {
    const { releases } = this.#plane;
    const servers = await readSlots(connection, { service: this.#service, inUse: releases });
    const [info = '', counts = '', amounts = ''] = await connection.send([
      'show info',
      `show table ${TABLES.counts}`,
      `show table ${TABLES.amounts}`,
    ]);
    for (const { name, cluster } of this.#plane.table?.servers ?? []) this.#clusters.set(name, cluster);
    const clusterOf = (server: string): string => this.#clusters.get(server) ?? '';
    const rows: TrafficCount[] = countsOf(
      { counts: readTable(counts), amounts: readTable(amounts) },
      clusterOf,
    );
    this.#ledger.read(
      readProcess(info).id,
      rows,
      servers,
      ({ backend, server }) => {
        const release = releases.get(backend);
        return release === undefined ? null : { release, cluster: clusterOf(server) };
      },
      { replaced },
    );
    return servers;
  }

  async #readUnits(connection: RuntimeConnection, process: string): Promise<void> {
    const { table } = this.#plane;
    if (table === null) return;
    await this.#accounts.read(connection, process, table);
    if (table.split?.counting?.unit === 'account') return;
    const nowMs = Date.now();
    const [units = ''] = await connection.send([`show table ${TABLES.units}`]);
    this.#ledger.units.read(process, readTable(units), { table, nowMs });
  }

  #report(table: RouteTable | null): GatewayUnits | undefined {
    const byAccount = table?.split?.counting?.unit === 'account';
    return byAccount ? this.#accounts.report(table) : this.#ledger.units.report(table);
  }

  /** What is on disk need not be in HAProxy's table any longer. */
  async #forgetUnits(connection: RuntimeConnection): Promise<void> {
    await this.#accounts.forget(connection);
    await connection.send(
      this.#ledger.units.settled.map((key) => `clear table ${TABLES.units} key ${argument(key)}`),
    );
  }

  async #readOld(old: RuntimeConnection): Promise<ServerStat[]> {
    try {
      const servers = await this.#read(old, true);
      // Clients with an idle connection to it send it one more request each (`idle-close-on-response`).
      const [frontends = ''] = await old.send([FRONTEND_STATS]);
      if (readServerStats(frontends).every(({ inFlight }) => inFlight === 0)) {
        this.#old.delete(old);
        // Read once more than it had anybody: what was counted last is in it.
        await this.#read(old, true);
        old.close();
      }
      return servers;
    } catch (error) {
      this.#old.delete(old);
      old.close();
      this.#logger.debug({ err: error }, 'an HAProxy process that was replaced is gone');
      return [];
    }
  }

  /** Open transactions by server, of draining servers only: who else has how many, nobody waits for. */
  async #transactions(connection: RuntimeConnection): Promise<Map<string, number>> {
    const open = new Map<string, number>();
    const { table } = this.#plane;
    if (table === null || table.transactions === null) return open;
    const draining = table.servers.filter(({ ingress }) => ingress === 'draining');
    const [endedTable = ''] = await connection.send([`show table ${TABLES.ended}`]);
    const ended = readTable(endedTable).map(({ key }) => key);
    // What a server said to be over is forgotten in all tables, in this order: it is at no moment open again.
    await connection.send(
      ended.flatMap((id) => [
        `clear table ${TABLES.transactions} key ${argument(id)}`,
        `clear table ${TABLES.allotted} key ${argument(id)}`,
        `clear table ${TABLES.ended} key ${argument(id)}`,
      ]),
    );
    if (draining.length === 0) return open;
    const ids = await this.#plane.serverIds(connection);
    if (draining.length > FEW_SERVERS) {
      const byServer = await transactionsByServer(connection);
      for (const { name } of draining) open.set(name, byServer.get(ids.get(name) ?? 0)?.length ?? 0);
      return open;
    }
    const answers = await connection.send(
      draining.map(({ name }) => `show table ${TABLES.transactions} data.server_id eq ${ids.get(name) ?? 0}`),
    );
    draining.forEach(({ name }, index) => open.set(name, readTable(answers[index] ?? '').length));
    return open;
  }

  close(): void {
    for (const old of this.#old) old.close();
  }
}

function loadOf(
  stats: readonly ServerStat[],
  transactions: ReadonlyMap<string, number>,
  names: readonly string[] = [],
): GatewayServer[] {
  const byName = new Map<string, GatewayServer>();
  for (const name of names)
    byName.set(name, { name, inFlight: 0, transactions: transactions.get(name) ?? 0, healthy: true });
  for (const { server, inFlight, up } of stats) {
    const before = byName.get(server);
    if (before === undefined && inFlight === 0) continue;
    byName.set(server, {
      name: server,
      inFlight: inFlight + (before?.inFlight ?? 0),
      transactions: before?.transactions ?? 0,
      healthy: up && (before?.healthy ?? true),
    });
  }
  return [...byName.values()];
}
