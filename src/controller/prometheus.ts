import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import type { Observatory } from './observatory.ts';
import type { ServiceStore } from './service-store.ts';

export interface Prometheus {
  readonly contentType: string;
  /** The exposition, made anew from the totals. */
  render(): Promise<string>;
}

const ROW_LABELS = ['service', 'release', 'cluster', 'server', 'bucket'] as const;
type RowLabel = (typeof ROW_LABELS)[number];
type RowLabels = Record<RowLabel, string>;

const OUTCOMES = {
  succeeded: 'succeeded',
  client_error: 'clientErrors',
  server_error: 'serverErrors',
  failed: 'failed',
  aborted: 'aborted',
} as const satisfies Record<string, keyof TrafficCount>;

/** Sums that grow with every gateway's counters: taken over at each scrape, as they survive restarts of both. */
function createTrafficMetrics(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Counter({
      name: 'changeover_requests_total',
      help: 'Requests that ended, by outcome',
      labelNames: [...ROW_LABELS, 'outcome'],
      registers,
    }),
    allocated: new Counter({
      name: 'changeover_allocated_total',
      help: 'Requests that count as allocated traffic',
      labelNames: ROW_LABELS,
      registers,
    }),
    volume: new Counter({
      name: 'changeover_volume_total',
      help: 'Exchanges that count as transaction volume',
      labelNames: ROW_LABELS,
      registers,
    }),
    // A gauge by type only: amounts may be negative (a refund), which a counter refuses.
    amount: new Gauge({
      name: 'changeover_volume_amount_total',
      help: 'Sum of the amounts of transaction volume',
      labelNames: ROW_LABELS,
      registers,
    }),
    unread: new Counter({
      name: 'changeover_unread_amounts_total',
      help: 'Exchanges of transaction volume whose amount could not be read, which count as 0',
      labelNames: ROW_LABELS,
      registers,
    }),
    slow: new Counter({
      name: 'changeover_slow_requests_total',
      help: 'Requests slower than the bound of the plan',
      labelNames: ROW_LABELS,
      registers,
    }),
    latency: new TotalsHistogram(registry),
  };
}

type MetricValues = Awaited<ReturnType<Histogram<RowLabel | 'le'>['get']>>;

const LATENCY = {
  name: 'changeover_request_duration_seconds',
  help: 'Time from the request to the end of its response at the gateway',
  labelNames: ROW_LABELS,
  buckets: LATENCY_BOUNDS_MS.map((bound) => bound / 1000),
} as const;

/** A histogram whose buckets come as sums, instead of one observation after the other. */
class TotalsHistogram extends Histogram<RowLabel | 'le'> {
  rows: readonly { labels: RowLabels; row: TrafficCount }[] = [];
  /** Never observes anything: it only knows how a histogram describes itself. */
  readonly #empty = new Histogram<RowLabel | 'le'>({ ...LATENCY, registers: [] });

  constructor(registry: Registry) {
    super({ ...LATENCY, registers: [registry] });
  }

  override async get(): Promise<MetricValues> {
    const values = this.rows.flatMap(({ labels, row }) => histogramValues(labels, row));
    return { ...(await this.#empty.get()), values };
  }

  /** The registry asks a histogram for its text form by this name, which prom-client's types do not know. */
  getForPromString(): Promise<MetricValues> {
    return this.get();
  }
}

function histogramValues(labels: RowLabels, row: TrafficCount): MetricValues['values'] {
  const { name } = LATENCY;
  let below = 0;
  const buckets = LATENCY_BOUNDS_MS.map((bound, index) => {
    below += row.latency[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bound / 1000 }, value: below };
  });
  const all = row.latency.reduce((sum, value) => sum + value, 0);
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: all },
    { metricName: `${name}_sum`, labels, value: row.latencySumMs / 1000 },
    { metricName: `${name}_count`, labels, value: all },
  ];
}

function createRouteMetrics(registry: Registry) {
  const registers = [registry];
  return {
    inFlight: new Gauge({
      name: 'changeover_in_flight',
      help: 'Requests under way to a server, as the gateway said last; absent where it does not answer',
      labelNames: ['service', 'gateway', 'server'],
      registers,
    }),
    tableVersion: new Gauge({
      name: 'changeover_route_table_version',
      help: 'Version of the active route table',
      labelNames: ['service'],
      registers,
    }),
    acknowledged: new Gauge({
      name: 'changeover_gateway_acknowledged_version',
      help: 'Version of the route table that a gateway acknowledged',
      labelNames: ['service', 'gateway'],
      registers,
    }),
    context: new Counter({
      name: 'changeover_context_total',
      help: 'Requests whose routing context was missing, outdated or dropped, as the gateway said last',
      labelNames: ['service', 'gateway', 'what'],
      registers,
    }),
    lockHeld: new Gauge({
      name: 'changeover_lock_held',
      help: '1 while an upgrade holds the lock on the service',
      labelNames: ['service'],
      registers,
    }),
  };
}

export function createPrometheus(store: ServiceStore, observatory: Observatory): Prometheus {
  const registry = new Registry();
  const traffic = createTrafficMetrics(registry);
  const routes = createRouteMetrics(registry);

  function refreshTraffic(rows: readonly { labels: RowLabels; row: TrafficCount }[]): void {
    for (const { labels, row } of rows) {
      for (const [outcome, field] of Object.entries(OUTCOMES)) {
        traffic.requests.inc({ ...labels, outcome }, row[field]);
      }
      traffic.allocated.inc(labels, row.allocated);
      traffic.volume.inc(labels, row.volumeCount);
      traffic.amount.set(labels, row.volumeAmount);
      traffic.unread.inc(labels, row.unreadAmounts ?? 0);
      traffic.slow.inc(labels, row.slow);
    }
    traffic.latency.rows = rows;
  }

  function refreshRoutes(service: string): void {
    const { active, gateways, lock } = store.get(service);
    routes.tableVersion.set({ service }, active.version);
    routes.lockHeld.set({ service }, lock === null ? 0 : 1);
    for (const { state } of gateways) {
      routes.acknowledged.set({ service, gateway: state.name }, state.acknowledged);
    }
    for (const [gateway, counts] of observatory.lastContext(service)) {
      for (const [what, value] of Object.entries(counts))
        routes.context.inc({ service, gateway, what }, value);
    }
    for (const [gateway, servers] of observatory.lastServers(service)) {
      for (const { name, inFlight } of servers)
        routes.inFlight.set({ service, gateway, server: name }, inFlight);
    }
  }

  return {
    contentType: registry.contentType,
    async render() {
      registry.resetMetrics();
      const services = store.names();
      services.forEach(refreshRoutes);
      refreshTraffic(services.flatMap((service) => labelled(service, observatory.totals(service))));
      return registry.metrics();
    },
  };
}

function labelled(service: string, totals: readonly TrafficCount[]) {
  return totals.map((row) => {
    const { release, cluster, server, bucket } = row;
    return { labels: { service, release, cluster, server, bucket }, row };
  });
}
