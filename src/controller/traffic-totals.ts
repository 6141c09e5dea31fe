import { z } from 'zod';
import { exactAmount } from '../domain/amount.ts';
import type { TrafficCount } from '../domain/measure.ts';
import { gatewayUnitsSchema, trafficCountSchema, type GatewayUnits } from '../protocol/gateway.ts';
import { joinUnits } from './unit-totals.ts';

/**
 * What was read of a gateway: its counters of each epoch, the newest last. Within an epoch counters only grow, so that
 * readings join by the greater number: in whatever order they arrive, and however often, nothing is lost or doubled.
 */
export interface GatewayTraffic {
  readonly epochs: readonly EpochTraffic[];
  /** Sum of the epochs that are too old for a reading of them to be still under way. */
  readonly closed: readonly TrafficCount[];
}

export interface EpochTraffic {
  readonly epoch: string;
  readonly counts: readonly TrafficCount[];
  /** What was counted for the decision; blocks are made of it before an epoch is closed. */
  readonly units?: GatewayUnits | undefined;
}

/** All gateways that ever served a service, by name. */
export type ServiceTraffic = Readonly<Record<string, GatewayTraffic>>;

export const serviceTrafficSchema = z.record(
  z.string(),
  z.strictObject({
    epochs: z.array(
      z.strictObject({
        epoch: z.string(),
        counts: z.array(trafficCountSchema),
        units: gatewayUnitsSchema.optional(),
      }),
    ),
    closed: z.array(trafficCountSchema),
  }),
) satisfies z.ZodType<ServiceTraffic>;

/** Epochs that are kept apart; a reading takes at most two seconds, in which no gateway starts that often. */
const OPEN_EPOCHS = 4;

/** A gateway's traffic with one more reading. */
export function withReading(
  known: GatewayTraffic | undefined,
  { epoch, counts, units }: EpochTraffic,
): GatewayTraffic {
  const epochs = known?.epochs ?? [];
  const closed = known?.closed ?? [];
  if (epochs.some((one) => one.epoch === epoch)) {
    const joined = epochs.map((one) =>
      one.epoch === epoch
        ? { epoch, counts: merge(greater, one.counts, counts), ...unitsOf(joinUnits(one.units, units)) }
        : one,
    );
    return { epochs: joined, closed };
  }
  const all = [...epochs, { epoch, counts, ...unitsOf(units) }];
  const old = all.slice(0, -OPEN_EPOCHS).flatMap((one) => one.counts);
  return { epochs: all.slice(-OPEN_EPOCHS), closed: old.length === 0 ? closed : merge(sum, closed, old) };
}

function unitsOf(units: GatewayUnits | undefined): Pick<EpochTraffic, 'units'> {
  return units === undefined ? {} : { units };
}

/** Totals over all gateways and epochs, one row for each release, cluster, server and bucket. */
export function totalsOf(traffic: ServiceTraffic): readonly TrafficCount[] {
  const rows = Object.values(traffic).flatMap(({ epochs, closed }) => [
    ...closed,
    ...epochs.flatMap(({ counts }) => counts),
  ]);
  return merge(sum, [], rows);
}

type Join = (a: number, b: number) => number;
const sum: Join = (a, b) => a + b;
const greater: Join = Math.max;

function merge(
  join: Join,
  first: readonly TrafficCount[],
  second: readonly TrafficCount[],
): readonly TrafficCount[] {
  const rows = new Map<string, TrafficCount>();
  for (const row of [...first, ...second]) {
    const key = JSON.stringify([row.release, row.cluster, row.server, row.bucket]);
    const known = rows.get(key);
    rows.set(key, known === undefined ? row : joinRows(join, known, row));
  }
  return [...rows.values()];
}

function joinRows(join: Join, a: TrafficCount, b: TrafficCount): TrafficCount {
  const buckets = Math.max(a.latency.length, b.latency.length);
  return {
    release: a.release,
    cluster: a.cluster,
    server: a.server,
    bucket: a.bucket,
    requests: join(a.requests, b.requests),
    allocated: join(a.allocated, b.allocated),
    succeeded: join(a.succeeded, b.succeeded),
    clientErrors: join(a.clientErrors, b.clientErrors),
    serverErrors: join(a.serverErrors, b.serverErrors),
    failed: join(a.failed, b.failed),
    aborted: join(a.aborted, b.aborted),
    slow: join(a.slow, b.slow),
    volumeCount: join(a.volumeCount, b.volumeCount),
    volumeAmount: exactAmount(join(a.volumeAmount, b.volumeAmount)),
    ...(a.unreadAmounts === undefined && b.unreadAmounts === undefined
      ? {}
      : { unreadAmounts: join(a.unreadAmounts ?? 0, b.unreadAmounts ?? 0) }),
    latency: Array.from({ length: buckets }, (_, i) => join(a.latency[i] ?? 0, b.latency[i] ?? 0)),
    latencySumMs: join(a.latencySumMs, b.latencySumMs),
  };
}
