import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import type { TrafficCount } from '../domain/measure.ts';
import { trafficCountSchema } from '../protocol/gateway.ts';
import { type AccountLedger, accountStateSchema } from './account-ledger.ts';
import { CountRows, type Row } from './count-rows.ts';
import type { ServerStat } from './runtime-answers.ts';
import { UnitLedger, unitStateSchema } from './unit-ledger.ts';

const processSchema = z.strictObject({
  id: z.string(),
  /** What it was seen to have counted. */
  counts: z.array(trafficCountSchema),
  /** Requests without an answer, by backend and server, as they were read last. */
  unanswered: z.record(z.string(), z.strictObject({ failed: z.number(), aborted: z.number() })),
});
const fileSchema = z.strictObject({
  epoch: z.string(),
  processes: z.array(processSchema),
  unanswered: z.array(trafficCountSchema),
  units: unitStateSchema.nullable().default(null),
  accounts: accountStateSchema.nullable().default(null),
});
type Stored = z.infer<typeof fileSchema>;

/** HAProxy processes remembered; those before them are added up. */
const PROCESSES = 8;
/** Bucket of requests without an answer: HAProxy counts them by server. */
const UNANSWERED = 'unanswered';
/** Bucket of answers that a process gave after it was replaced. */
const RELOAD = 'reload';

type PlaceOf = (stat: ServerStat) => { release: string; cluster: string } | null;

/**
 * Counters over all HAProxy processes that this companion has seen. A process counts from zero; what was read of the
 * ones before it stays, so that a reload or restart neither loses nor doubles what was read. On disk, for the companion
 * restarts too.
 */
export class CountLedger {
  readonly units = new UnitLedger();
  readonly accounts: AccountLedger;
  readonly #folder: string;
  readonly #path: string;
  #stored: Stored = { epoch: randomUUID(), processes: [], unanswered: [], units: null, accounts: null };
  #written = '';
  /** Processes that were read since the last save: they live, and what is added up of them would be read once more. */
  readonly #living = new Set<string>();
  #fresh = true;

  constructor(stateDir: string, accounts: AccountLedger) {
    this.accounts = accounts;
    this.#folder = stateDir;
    this.#path = join(stateDir, 'counts.json');
  }

  get epoch(): string {
    return this.#stored.epoch;
  }

  async load(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => null);
    if (text === null) return;
    this.#stored = fileSchema.parse(JSON.parse(text));
    this.units.restore(this.#stored.units);
    this.accounts.restore(this.#stored.accounts);
    this.#fresh = false;
  }

  /** What a process says of itself now. Its counters only grow, so that the greater number is the newer one. */
  read(
    process: string,
    counts: readonly TrafficCount[],
    servers: readonly ServerStat[],
    placeOf: PlaceOf,
    options: { replaced: boolean } = { replaced: false },
  ): void {
    let known = this.#stored.processes.find(({ id }) => id === process);
    if (known === undefined) {
      known = { id: process, counts: [], unanswered: {} };
      this.#stored.processes.push(known);
      // Without its file nobody knows what was read of this process before: rather forget a second than double a day.
      if (this.#fresh && this.#stored.processes.length === 1) this.#startFrom(known, servers);
    }
    this.#living.add(process);
    known.counts = greater(known.counts, counts);
    if (options.replaced) addLastAnswers(known.counts, servers, placeOf);
    for (const stat of servers) this.#addUnanswered(known, stat, placeOf(stat));
    this.#fresh = false;
  }

  totals(): Row[] {
    const rows = new CountRows();
    for (const count of this.#stored.unanswered) rows.add(count);
    for (const { counts } of this.#stored.processes) for (const count of counts) rows.add(count);
    return rows.all;
  }

  /** Durable when it returns. */
  async save(): Promise<void> {
    this.#fold();
    this.#stored.units = this.units.state;
    this.#stored.accounts = this.accounts.state;
    const text = JSON.stringify(this.#stored);
    if (text === this.#written) return;
    await mkdir(this.#folder, { recursive: true });
    await writeFileAtomic(this.#path, text);
    this.#written = text;
  }

  #startFrom(process: Stored['processes'][number], servers: readonly ServerStat[]): void {
    for (const { backend, server, failed, aborted } of servers)
      if (failed + aborted > 0) process.unanswered[`${backend}/${server}`] = { failed, aborted };
  }

  #addUnanswered(
    process: Stored['processes'][number],
    stat: ServerStat,
    place: { release: string; cluster: string } | null,
  ): void {
    // Most of thousands of servers, of which nothing has to be kept.
    if (stat.failed + stat.aborted === 0) return;
    const key = `${stat.backend}/${stat.server}`;
    const before = process.unanswered[key] ?? { failed: 0, aborted: 0 };
    const failed = Math.max(0, stat.failed - before.failed);
    const aborted = Math.max(0, stat.aborted - before.aborted);
    if (failed + aborted === 0) return;
    // Requests under way hide some that were broken off: what is read may fall for a while.
    process.unanswered[key] = { failed: before.failed + failed, aborted: before.aborted + aborted };
    if (place === null) return;
    const rows = new CountRows();
    for (const count of this.#stored.unanswered) rows.add(count);
    const row = rows.row({ ...place, server: stat.server, bucket: UNANSWERED });
    row.requests += failed + aborted;
    row.failed += failed;
    row.aborted += aborted;
    this.#stored.unanswered = rows.all;
  }

  #fold(): void {
    while (this.#stored.processes.length > PROCESSES) {
      const at = this.#stored.processes.findIndex(({ id }) => !this.#living.has(id));
      if (at < 0) break;
      const [oldest] = this.#stored.processes.splice(at, 1);
      const rows = new CountRows();
      for (const count of [...this.#stored.unanswered, ...(oldest?.counts ?? [])]) rows.add(count);
      this.#stored.unanswered = rows.all;
    }
    this.#living.clear();
  }
}

function rowId({ release, cluster, server, bucket }: TrafficCount): string {
  return JSON.stringify([release, cluster, server, bucket]);
}

/** Row by row what counted more: a process that is being replaced forgets its tables, and not what was read of them. */
function greater(before: readonly TrafficCount[], now: readonly TrafficCount[]): Row[] {
  const rows = new Map<string, TrafficCount>(before.map((row) => [rowId(row), row]));
  for (const row of now) {
    const known = rows.get(rowId(row));
    if (known === undefined || known.requests <= row.requests) rows.set(rowId(row), row);
  }
  return [...rows.values()].map((row) => ({ ...row, latency: [...row.latency] }));
}

/**
 * HAProxy purges the stick tables of a process as soon as another one replaces it, but goes on counting the answers of
 * each server. What these are more than the rows is what was answered since the last reading: none is lost, though
 * nobody knows their policy bucket, latency and volume any more.
 */
function addLastAnswers(counts: Row[], servers: readonly ServerStat[], placeOf: PlaceOf): void {
  const known = new Map<string, { stats: ServerStat[]; read: Record<Answered, number>; at: number }>();
  for (const stat of servers) {
    const before = known.get(stat.server);
    if (before !== undefined) before.stats.push(stat);
    else known.set(stat.server, { stats: [stat], read: answeredOf([]), at: -1 });
  }
  counts.forEach((row, index) => {
    const of = known.get(row.server);
    if (of === undefined) return;
    if (row.bucket === RELOAD) of.at = index;
    else of.read = answeredOf([of.read, row]);
  });
  for (const [server, { stats, read, at }] of known) {
    // Its slot may be another release's by now; what was said of the process once stands.
    const place =
      counts[at] ?? stats.map(placeOf).find((found, index) => found !== null && stats[index]?.usable) ?? null;
    const row = new CountRows().row({
      release: place?.release ?? '',
      cluster: place?.cluster ?? '',
      server,
      bucket: RELOAD,
    });
    const answered = answeredOf(stats.map((stat) => stat.answered));
    for (const field of ANSWERED) {
      row[field] = Math.max(0, answered[field] - read[field]);
      row.requests += row[field];
    }
    if (row.requests === 0 || place === null) continue;
    if (at < 0) counts.push(row);
    else counts[at] = row;
  }
}

const ANSWERED = ['succeeded', 'clientErrors', 'serverErrors'] as const;
type Answered = (typeof ANSWERED)[number];

function answeredOf(counts: readonly Readonly<Record<Answered, number>>[]): Record<Answered, number> {
  const sum = { succeeded: 0, clientErrors: 0, serverErrors: 0 };
  for (const count of counts) for (const field of ANSWERED) sum[field] += count[field];
  return sum;
}
