import { TrafficRow } from './traffic-row.ts';

/** All counters of this gateway since it started. Rows outlive the route tables that caused them. */
export class TrafficLedger {
  readonly #rows = new Map<string, TrafficRow>();
  /** Requests that no server could be found for; the client got 503. */
  unrouted = 0;
  /** Requests refused before routing: malformed, or two ways to read them. */
  refused = 0;

  row(key: { release: string; cluster: string; server: string; bucket: string }): TrafficRow {
    // Version names may hold anything, hence a separator that no name can contain unescaped.
    const id = JSON.stringify([key.release, key.server, key.bucket]);
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = new TrafficRow(key);
      this.#rows.set(id, row);
    }
    return row;
  }

  counts(): ReturnType<TrafficRow['toCount']>[] {
    // A server that never took a request (it could not be reached) has nothing to tell.
    return [...this.#rows.values()].map((row) => row.toCount()).filter((count) => count.requests > 0);
  }
}
