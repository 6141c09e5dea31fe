import type { RouteTable } from '../domain/routes/table.ts';
import type { AccountStore } from '../gateway/account-store.ts';
import type { GatewayUnits } from '../protocol/gateway.ts';
import { AccountLedger } from './account-ledger.ts';
import { BEYOND, TABLES } from './layout.ts';
import { argument, type RuntimeConnection } from './runtime-api.ts';
import { readTable, readUsed } from './runtime-answers.ts';

/**
 * HAProxy answers nobody while it goes through all accounts within their windows to find those that are due, 27 ms for
 * 100,000 of them (`bench:gateway -- --only accounts`). It is left alone for so many milliseconds for each, which is two
 * hundred times as long: one request in two hundred meets a look.
 */
const PAUSE_MS_PER_ACCOUNT = 0.05;

/** Takes accounts out of HAProxy once their windows are over. */
export class AccountReader {
  readonly #ledger: AccountLedger;
  readonly #store: Pick<AccountStore, 'flush'>;
  readonly #now: () => number;
  /** Up to when accounts were taken out, of which process; so long they are not asked for again. */
  #known = { process: '', second: -Infinity, pauseUntilMs: -Infinity };
  #hasSome = true;

  constructor(parts: { ledger: AccountLedger; store: Pick<AccountStore, 'flush'>; now: () => number }) {
    this.#ledger = parts.ledger;
    this.#store = parts.store;
    this.#now = parts.now;
  }

  /** @param process - `pid@start`. */
  async read(connection: RuntimeConnection, process: string, table: RouteTable): Promise<void> {
    const counting = table.split?.counting;
    if (counting?.unit !== 'account') {
      // What a trial left behind: nobody asks for it any more.
      if (this.#hasSome) await connection.send([`clear table ${TABLES.accounts}`]);
      this.#hasSome = false;
      return;
    }
    this.#hasSome = true;
    const nowMs = this.#now();
    this.#ledger.see(table, nowMs);
    const second = AccountLedger.dueSecond(counting, nowMs);
    const isKnown = this.#known.process === process && second <= this.#known.second;
    if (isKnown || nowMs < this.#known.pauseUntilMs) return;
    const [due = '', full = ''] = await connection.send([
      `show table ${TABLES.accounts} data.gpt le ${second}`,
      `show table ${TABLES.units} key ${BEYOND}`,
    ]);
    const rows = readTable(due);
    const used = readUsed(due);
    this.#ledger.read({
      table,
      nowMs,
      process,
      startedSecond: Number(process.split('@')[1] ?? 0),
      rows,
      used,
      full: readTable(full)[0]?.fields.get('http_req_cnt') ?? 0,
    });
    const isAll = rows.length === this.#ledger.settled.length;
    this.#known = {
      process,
      second: isAll ? second : -Infinity,
      pauseUntilMs: nowMs + PAUSE_MS_PER_ACCOUNT * used,
    };
    // Before they are counted: who is counted has entered, whatever is killed when.
    await this.#store.flush();
  }

  /** Once what was read is on disk. */
  async forget(connection: RuntimeConnection): Promise<void> {
    const { settled } = this.#ledger;
    await connection.send(settled.map((key) => `clear table ${TABLES.accounts} key ${argument(key)}`));
    this.#ledger.forgotten();
  }

  report(table: RouteTable | null): GatewayUnits | undefined {
    return this.#ledger.report(table);
  }
}
