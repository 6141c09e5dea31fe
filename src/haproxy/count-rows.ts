import { amountOf, exactAmount } from '../domain/amount.ts';
import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import type { KeyDecision } from '../domain/policy/route-key.ts';
import { AMOUNT_BITS, AMOUNT_KEY, COUNT_KEY, ENDING } from './layout.ts';
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
    row.volumeAmount = exactAmount(row.volumeAmount + count.volumeAmount);
    if (count.unreadAmounts !== undefined) row.unreadAmounts = (row.unreadAmounts ?? 0) + count.unreadAmounts;
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
  'latencySumMs',
] as const;

/** Stick tables of one HAProxy process. */
export interface CountTables {
  readonly counts: readonly TableRow[];
  readonly amounts: readonly TableRow[];
}

/** A key by `COUNT_KEY` or `AMOUNT_KEY`; null for what is none. */
function partsOf(
  key: string,
  { number, server }: typeof COUNT_KEY | typeof AMOUNT_KEY,
): { server: number; decision: number; rest: number } | null {
  if (!/^\d+$/.test(key)) return null;
  const all = BigInt(key);
  return {
    server: Number(all / BigInt(server)),
    decision: Number((all % BigInt(server)) / BigInt(number)),
    rest: Number(all % BigInt(number)),
  };
}

/** Numbers of the decisions that were counted, by `DecisionNumbers`. */
export function decisionsIn({ counts, amounts }: CountTables): Set<number> {
  const keys = [
    ...counts.map(({ key }) => partsOf(key, COUNT_KEY)),
    ...amounts.map(({ key }) => partsOf(key, AMOUNT_KEY)),
  ];
  return new Set(keys.flatMap((parts) => (parts === null ? [] : [parts.decision])));
}

/** Counts of one HAProxy process, by its own numbers of decisions and servers; nothing of what it has no name for. */
export function countsOf(
  tables: CountTables,
  names: {
    readonly decisions: ReadonlyMap<number, KeyDecision>;
    readonly servers: ReadonlyMap<number, string>;
    readonly clusterOf: (server: string) => string;
  },
): TrafficCount[] {
  const rows = new CountRows();
  const rowOf = (decision: number, id: number): Row | null => {
    const found = names.decisions.get(decision);
    const server = names.servers.get(id);
    if (found === undefined || server === undefined) return null;
    return rows.row({ ...found, server, cluster: names.clusterOf(server) });
  };
  for (const { key, fields } of tables.counts) {
    const parts = partsOf(key, COUNT_KEY);
    const row = parts === null ? null : rowOf(parts.decision, parts.server);
    if (parts === null || row === null) continue;
    const ending = parts.rest;
    const count = fields.get('http_req_cnt') ?? 0;
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
  const sums = new Map<Row, bigint>();
  for (const { key, fields } of tables.amounts) {
    const parts = partsOf(key, AMOUNT_KEY);
    const row = parts === null ? null : rowOf(parts.decision, parts.server);
    if (parts === null || row === null) continue;
    if ((parts.rest & AMOUNT_KEY.unread) !== 0) {
      row.unreadAmounts = (row.unreadAmounts ?? 0) + (fields.get('gpc0') ?? 0);
      continue;
    }
    let units = 0n;
    for (let bit = 0; bit < AMOUNT_BITS; bit += 1)
      units += BigInt(fields.get(`gpc${bit}`) ?? 0) << BigInt(bit);
    sums.set(row, (sums.get(row) ?? 0n) + (parts.rest === AMOUNT_KEY.belowZero ? -units : units));
  }
  for (const [row, units] of sums) row.volumeAmount = amountOf(units);
  return rows.all;
}

/** HAProxy counts latencies by class only; their sum is estimated by the middles of the classes. */
function middleOf(bucket: number): number {
  const below = LATENCY_BOUNDS_MS[bucket - 1] ?? 0;
  return (below + (LATENCY_BOUNDS_MS[bucket] ?? below)) / 2;
}
