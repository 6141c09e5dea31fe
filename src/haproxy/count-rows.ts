import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import { AMOUNT_BITS, AMOUNT_DECIMALS } from './layout.ts';
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

interface Decided {
  readonly release: string;
  readonly bucket: string;
  readonly server: string;
  readonly rest: readonly string[];
}

/** `slot:release:bucket[:open]:server:…`: the decision's fourth field is there while a stage holds keys back. */
function decided(key: string, trailing: number): Decided | null {
  const fields = key.split(':');
  const rest = fields.splice(fields.length - trailing, trailing);
  const server = fields.pop();
  const [, release, bucket] = fields;
  if (server === undefined || release === undefined || bucket === undefined) return null;
  return { release: decodeURIComponent(release), bucket: decodeURIComponent(bucket), server, rest };
}

/** Counts of one HAProxy process, from its stick tables. */
export function countsOf(
  tables: { counts: readonly TableRow[]; amounts: readonly TableRow[] },
  clusterOf: (server: string) => string,
): TrafficCount[] {
  const rows = new CountRows();
  for (const { key, fields } of tables.counts) {
    const found = decided(key, 3);
    if (found === null) continue;
    const count = fields.get('http_req_cnt') ?? 0;
    const [status, latency, flags = ''] = found.rest;
    const row = rows.row({ ...found, cluster: clusterOf(found.server) });
    row.requests += count;
    if (status === '4') row.clientErrors += count;
    else if (status === '5') row.serverErrors += count;
    else row.succeeded += count;
    if (flags.includes('a')) row.allocated += count;
    if (flags.includes('v')) row.volumeCount += count;
    if (flags.includes('s')) row.slow += count;
    const bucket = Number(latency);
    row.latency[bucket] = (row.latency[bucket] ?? 0) + count;
    row.latencySumMs += count * middleOf(bucket);
  }
  for (const { key, fields } of tables.amounts) {
    const found = decided(key, 1);
    if (found === null) continue;
    let units = 0;
    for (let bit = 0; bit < AMOUNT_BITS; bit += 1) units += 2 ** bit * (fields.get(`gpc${bit}`) ?? 0);
    const row = rows.row({ ...found, cluster: clusterOf(found.server) });
    row.volumeAmount += (found.rest[0] === '-' ? -units : units) / 10 ** AMOUNT_DECIMALS;
  }
  return rows.all;
}

/** HAProxy counts latencies by class only; their sum is estimated by the middles of the classes. */
function middleOf(bucket: number): number {
  const below = LATENCY_BOUNDS_MS[bucket - 1] ?? 0;
  return (below + (LATENCY_BOUNDS_MS[bucket] ?? below)) / 2;
}
