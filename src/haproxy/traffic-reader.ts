import type { Logger } from 'pino';
import { ChangeoverError } from '../domain/errors.ts';
import type { TrafficCount } from '../domain/measure.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import type { GatewayServer, GatewayStats, GatewayUnits } from '../protocol/gateway.ts';
import { readProcessStat } from '../os/process-stat.ts';
import type { AccountReader } from './account-reader.ts';
import { type CountLedger } from './count-ledger.ts';
import { countsOf, decisionsIn } from './count-rows.ts';
import { DecisionNames } from './decision-names.ts';
import type { Executing, HaproxyPlane } from './haproxy-plane.ts';
import { TABLES } from './layout.ts';
import { openTransactions } from './open-transactions.ts';
import { argument, type RuntimeConnection } from './runtime-api.ts';
import { readProcess, readServerStats, readTable, type ServerStat } from './runtime-answers.ts';
import { addressOf } from './server-address.ts';
import { readSlots } from './slot-stats.ts';
import { UnreadProcesses } from './unread-processes.ts';

/** The frontends, with the connections of clients. */
const FRONTEND_STATS = 'show stat -1 1 -1';
/** How often a reading is begun anew because HAProxy was reloaded in the middle of it. */
const READINGS = 5;

interface ReadProcess {
  readonly pid: number;
  readonly servers: readonly ServerStat[];
}

/** Reads what HAProxy processes counted and have under way: the one that runs, and old ones that still finish. */
export class TrafficReader {
  readonly #gateway: string;
  readonly #service: string;
  readonly #plane: HaproxyPlane;
  readonly #ledger: CountLedger;
  readonly #accounts: AccountReader;
  readonly #decisions: DecisionNames;
  readonly #logger: Logger;
  readonly #old = new Set<RuntimeConnection>();
  readonly #unread: UnreadProcesses;
  readonly #clusters = new Map<string, string>();

  constructor(parts: {
    gateway: string;
    service: string;
    plane: HaproxyPlane;
    ledger: CountLedger;
    accounts: AccountReader;
    routesFile: string;
    logger: Logger;
  }) {
    this.#gateway = parts.gateway;
    this.#service = parts.service;
    this.#plane = parts.plane;
    this.#ledger = parts.ledger;
    this.#accounts = parts.accounts;
    this.#decisions = new DecisionNames(parts.routesFile);
    this.#logger = parts.logger;
    this.#unread = new UnreadProcesses(parts.logger);
  }

  /** A process that was replaced: read until it has nothing under way, which the connection keeps it alive for. */
  keep(old: RuntimeConnection): void {
    this.#old.add(old);
  }

  /**
   * Nothing changes in HAProxy meanwhile, and it all is of the process that serves then: one that is replaced forgets its
   * tables in the middle, so that open transactions would seem to be over.
   *
   * @throws ChangeoverError `GatewayUnreachable` while HAProxy does not answer.
   */
  async stats(): Promise<GatewayStats> {
    for (let again = READINGS; again > 0; again -= 1) {
      const stats = await this.#plane.reading((now) => this.#statsOf(now));
      if (stats !== null) return stats;
    }
    throw new ChangeoverError('GatewayUnreachable', 'HAProxy is reloaded faster than it can be read.');
  }

  /** Null where the process was replaced meanwhile. */
  async #statsOf({ connection, process, version, table }: Executing): Promise<GatewayStats | null> {
    const [now, ...before] = await Promise.all([
      this.#read(connection),
      ...[...this.#old].map((old) => this.#readOld(old)),
    ]);
    if (!(await this.#readUnits(connection, process, table))) return null;
    await this.#ledger.save();
    await this.#forgetUnits(connection);
    const beside = this.#plane.workers.beside(now.pid);
    const transactions = await openTransactions(connection, {
      table,
      serverIds: () => this.#plane.serverIds(connection),
      hasPredecessor: before.length > 0 || (beside?.older.length ?? 0) > 0,
    });
    const [info = ''] = await connection.send(['show info']);
    if (readProcess(info).stopping) return null;
    const all = [now, ...before].filter((read) => read !== null);
    const servers = loadOf(
      all.flatMap((read) => read.servers),
      {
        ...{ table, transactions },
        unread: await this.#unread.portsOf(
          beside?.older ?? [],
          all.map((read) => read.pid),
        ),
      },
    );
    const units = this.#report(table);
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

  async #read(connection: RuntimeConnection, replaced = false): Promise<ReadProcess> {
    const { releases } = this.#plane;
    const servers = await readSlots(connection, { service: this.#service, inUse: releases });
    const [info = '', counts = '', amounts = ''] = await connection.send([
      'show info',
      `show table ${TABLES.counts}`,
      `show table ${TABLES.amounts}`,
    ]);
    for (const { name, cluster } of this.#plane.table?.servers ?? []) this.#clusters.set(name, cluster);
    const clusterOf = (server: string): string => this.#clusters.get(server) ?? '';
    const { id, pid } = readProcess(info);
    const tables = { counts: readTable(counts), amounts: readTable(amounts) };
    const decisions = await this.#decisions.of(connection, id, decisionsIn(tables));
    const names = new Map(servers.map((stat) => [stat.id, stat.server]));
    const rows: TrafficCount[] = countsOf(tables, { decisions, servers: names, clusterOf });
    this.#ledger.read(
      id,
      rows,
      servers,
      ({ backend, server }) => {
        const release = releases.get(backend);
        return release === undefined ? null : { release, cluster: clusterOf(server) };
      },
      { replaced },
    );
    return { pid, servers };
  }

  /** False where the process was replaced meanwhile: its entries may be gone in part, and count by whole moments only. */
  async #readUnits(
    connection: RuntimeConnection,
    process: string,
    table: RouteTable | null,
  ): Promise<boolean> {
    if (table === null) return true;
    await this.#accounts.read(connection, process, table);
    if (table.split?.counting?.unit === 'account') {
      const [info = ''] = await connection.send(['show info']);
      return !readProcess(info).stopping;
    }
    const nowMs = Date.now();
    const [units = '', info = ''] = await connection.send([`show table ${TABLES.units}`, 'show info']);
    if (readProcess(info).stopping) return false;
    this.#ledger.units.read(process, readTable(units), { table, nowMs });
    return true;
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

  async #readOld(old: RuntimeConnection): Promise<ReadProcess | null> {
    try {
      const read = await this.#read(old, true);
      // Clients with an idle connection to it send it one more request each (`idle-close-on-response`).
      const [frontends = ''] = await old.send([FRONTEND_STATS]);
      if (readServerStats(frontends).every(({ inFlight }) => inFlight === 0)) {
        this.#old.delete(old);
        // Read once more than it had anybody: what was counted last is in it.
        await this.#read(old, true);
        this.#unread.finished(readProcessStat(read.pid));
        old.close();
      }
      return read;
    } catch (error) {
      this.#old.delete(old);
      old.close();
      this.#logger.debug({ err: error }, 'an HAProxy process that was replaced is gone');
      return null;
    }
  }

  close(): void {
    for (const old of this.#old) old.close();
  }
}

/**
 * A process that is not read has something in flight, for all that is known, at every server that takes nothing new and to
 * which it is connected.
 */
function loadOf(
  stats: readonly ServerStat[],
  {
    table,
    transactions,
    unread,
  }: {
    table: RouteTable | null;
    transactions: ReadonlyMap<string, number>;
    unread: readonly (ReadonlySet<number> | null)[];
  },
): GatewayServer[] {
  const byName = new Map<string, GatewayServer>();
  for (const { name, ingress, url } of table?.servers ?? [])
    byName.set(name, {
      name,
      inFlight:
        ingress === 'open'
          ? 0
          : unread.filter((ports) => ports === null || ports.has(Number(addressOf(url).port))).length,
      transactions: transactions.get(name) ?? 0,
      healthy: true,
    });
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
