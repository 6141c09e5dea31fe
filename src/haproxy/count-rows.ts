import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import { AMOUNT_BITS, AMOUNT_DECIMALS, ENDING } from './layout.ts';
import type { TableRow } from './runtime-answers.ts';

/** A `TrafficCount` that is being added up. */
export type Row = { -readonly [K in keyof TrafficCount]: TrafficCount[K] } & { latency: number[] };

export class CountRows {
  readonly #rows = new Map<string, Row>();

  row(key: Pick<Row, 'release' | 'cluster' | 'server' | 'bucket'>): Row {
    const id = JSON.stringify([key.release, key.cluster, key.server, key.bucket]);
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = {
        release: key.release,
        cluster: key.cluster,
        server: key.server,
        bucket: key.bucket,
        requests: 0,
        allocated: 0,
        succeeded: 0,
        clientErrors: 0,
        serverErrors: 0,
        failed: 0,
        aborted: 0,
        slow: 0,
        volumeCount: 0,
        volumeAmount: 0,
        latency: new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0),
        latencySumMs: 0,
      };
      this.#rows.set(id, row);
    }
    return row;
  }

  add(count: TrafficCount): void {
    const row = this.row(count);
    for (const field of NUMBERS) row[field] += count[field];
    count.latency.forEach((value, index) => (row.latency[index] = (row.latency[index] ?? 0) + value));
  }

  get all(): Row[] {
    return [...this.#rows.values()];
  }
}

const NUMBERS = [
  'requests',
  'allocated',
  'succeeded',
  'clientErrors',
  'serverErrors',
  'failed',
  'aborted',
  'slow',
  'volumeCount',
  'volumeAmount',
  'latencySumMs',
] as const;

/** `slot:release:bucket[:open]`: the fourth field is there while a stage holds keys back. */
function decision([, release, bucket]: readonly string[]): { release: string; bucket: string } | null {
  if (release === undefined || bucket === undefined) return null;
  return { release: decodeURIComponent(release), bucket: decodeURIComponent(bucket) };
}

/** Counts of one HAProxy process, from its stick tables. */
export function countsOf(
  tables: { counts: readonly TableRow[]; amounts: readonly TableRow[] },
  clusterOf: (server: string) => string,
): TrafficCount[] {
  const rows = new CountRows();
  for (const { key, fields } of tables.counts) {
    const [server = '', ...rest] = key.split(':');
    const ending = Number(rest.pop());
    const found = decision(rest);
    if (found === null || !Number.isInteger(ending)) continue;
    const count = fields.get('http_req_cnt') ?? 0;
    const row = rows.row({ ...found, server, cluster: clusterOf(server) });
    row.requests += count;
    const status = Math.floor((ending % ENDING.allocated) / ENDING.statusClass);
    if (status === 4) row.clientErrors += count;
    else if (status === 5) row.serverErrors += count;
    else row.succeeded += count;
    if ((ending & ENDING.allocated) !== 0) row.allocated += count;
    if ((ending & ENDING.volume) !== 0) row.volumeCount += count;
    if ((ending & ENDING.slow) !== 0) row.slow += count;
    const bucket = ending % ENDING.slow;
    row.latency[bucket] = (row.latency[bucket] ?? 0) + count;
    row.latencySumMs += count * middleOf(bucket);
  }
  for (const { key, fields } of tables.amounts) {
    const rest = key.split(':');
    const sign = rest.pop();
    const server = rest.pop() ?? '';
    const found = decision(rest);
    if (found === null) continue;
    let units = 0;
    for (let bit = 0; bit < AMOUNT_BITS; bit += 1) units += 2 ** bit * (fields.get(`gpc${bit}`) ?? 0);
    const row = rows.row({ ...found, server, cluster: clusterOf(server) });
    row.volumeAmount += (sign === '-' ? -units : units) / 10 ** AMOUNT_DECIMALS;
  }
  return rows.all;
}

/** HAProxy counts latencies by class only; their sum is estimated by the middles of the classes. */
function middleOf(bucket: number): number {
  const below = LATENCY_BOUNDS_MS[bucket - 1] ?? 0;
  return (below + (LATENCY_BOUNDS_MS[bucket] ?? below)) / 2;
}
