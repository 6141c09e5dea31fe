import { LATENCY_BOUNDS_MS, type TrafficCount } from '../domain/measure.ts';
import type { GatewayStats } from '../protocol/gateway.ts';
import type { TrafficDirector } from './traffic-director.ts';

type Labels = Readonly<Record<string, string>>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Prometheus text format, version 0.0.4; rendered from the counters themselves, so that nothing is counted twice. */
export function renderMetrics(stats: GatewayStats, director: TrafficDirector): string {
  const per = (value: (count: TrafficCount) => number): Sample[] =>
    stats.counts.map((count) => ({ labels: rowLabels(count), value: value(count) }));
  const outcomes = stats.counts.flatMap((count) =>
    (['succeeded', 'clientErrors', 'serverErrors', 'failed', 'aborted'] as const).map((outcome) => ({
      labels: { ...rowLabels(count), outcome },
      value: count[outcome],
    })),
  );
  const servers = (value: (server: GatewayStats['servers'][number]) => number): Sample[] =>
    stats.servers.map((server) => ({ labels: { server: server.name }, value: value(server) }));
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  return [
    family(
      { name: 'changeover_gateway_requests_total', type: 'counter', help: 'Requests routed' },
      per((c) => c.requests),
    ),
    family(
      {
        name: 'changeover_gateway_allocated_total',
        type: 'counter',
        help: 'Requests that count as allocated traffic',
      },
      per((c) => c.allocated),
    ),
    family(
      { name: 'changeover_gateway_outcomes_total', type: 'counter', help: 'Requests by how they ended' },
      outcomes,
    ),
    family(
      { name: 'changeover_gateway_slow_total', type: 'counter', help: 'Answers slower than the plan allows' },
      per((c) => c.slow),
    ),
    family(
      {
        name: 'changeover_gateway_volume_total',
        type: 'counter',
        help: 'Exchanges that count as transaction volume',
      },
      per((c) => c.volumeCount),
    ),
    family(
      {
        name: 'changeover_gateway_volume_amount',
        type: 'gauge',
        help: 'Sum of the amounts of transaction volume',
      },
      per((c) => c.volumeAmount),
    ),
    family(
      {
        name: 'changeover_gateway_unread_amounts_total',
        type: 'counter',
        help: 'Exchanges of transaction volume whose amount could not be read, which count as 0',
      },
      per((c) => c.unreadAmounts ?? 0),
    ),
    latencyFamily(stats.counts),
    family(
      { name: 'changeover_gateway_in_flight', type: 'gauge', help: 'Requests under way' },
      servers((s) => s.inFlight),
    ),
    family(
      { name: 'changeover_gateway_transactions', type: 'gauge', help: 'Transactions that are not over' },
      servers((s) => s.transactions),
    ),
    family(
      {
        name: 'changeover_gateway_server_healthy',
        type: 'gauge',
        help: '1 while the server takes connections',
      },
      servers((s) => Number(s.healthy)),
    ),
    family(
      {
        name: 'changeover_gateway_cut_transactions_total',
        type: 'counter',
        help: 'Transactions that had to leave their server',
      },
      one(director.transactions.cut),
    ),
    family(
      {
        name: 'changeover_gateway_evicted_transactions_total',
        type: 'counter',
        help: 'Transactions forgotten for want of room',
      },
      one(director.transactions.evicted),
    ),
    family(
      {
        name: 'changeover_gateway_unrouted_total',
        type: 'counter',
        help: 'Requests without a server to take them',
      },
      one(director.ledger.unrouted),
    ),
    family(
      {
        name: 'changeover_gateway_refused_total',
        type: 'counter',
        help: 'Requests refused as malformed or ambiguous',
      },
      one(director.ledger.refused),
    ),
    family(
      {
        name: 'changeover_gateway_context_missing_total',
        type: 'counter',
        help: 'Requests to a sidecar whose baggage has no decision for its service',
      },
      one(director.context.counts.missing),
    ),
    family(
      {
        name: 'changeover_gateway_context_outdated_total',
        type: 'counter',
        help: 'Requests whose decision in the baggage could not be followed any longer',
      },
      one(director.context.counts.outdated),
    ),
    family(
      {
        name: 'changeover_gateway_context_dropped_total',
        type: 'counter',
        help: 'Requests whose baggage had no room for the routing context',
      },
      one(director.context.counts.dropped),
    ),
    family(
      {
        name: 'changeover_gateway_inner_table_version',
        type: 'gauge',
        help: 'Version of the route table by which this edge decides for a service behind it; 0 for none yet',
      },
      Object.entries(director.context.innerVersions).map(([service, value]) => ({
        labels: { service },
        value,
      })),
    ),
    family(
      {
        name: 'changeover_gateway_units_pending',
        type: 'gauge',
        help: 'Units of the trial whose outcome is not reported yet',
      },
      one(stats.units?.pending ?? 0),
    ),
    family(
      {
        name: 'changeover_gateway_accounts_beyond',
        type: 'gauge',
        help: 'Requests of accounts that the trial does not count for want of room',
      },
      one(stats.units?.beyond ?? 0),
    ),
    family(
      {
        name: 'changeover_gateway_table_version',
        type: 'gauge',
        help: 'Version of the route table executed',
      },
      one(stats.tableVersion),
    ),
  ].join('');
}

function rowLabels(count: TrafficCount): Labels {
  return { release: count.release, cluster: count.cluster, server: count.server, bucket: count.bucket };
}

function family(
  about: { name: string; type: 'counter' | 'gauge'; help: string },
  samples: readonly Sample[],
): string {
  const { name, type, help } = about;
  return head(name, type, help) + samples.map((sample) => line(name, sample.labels, sample.value)).join('');
}

function latencyFamily(counts: readonly TrafficCount[]): string {
  const name = 'changeover_gateway_latency_seconds';
  let out = head(name, 'histogram', 'Time from routing to the end of the answer');
  for (const count of counts) {
    const labels = rowLabels(count);
    let sum = 0;
    count.latency.forEach((value, index) => {
      sum += value;
      const bound = LATENCY_BOUNDS_MS[index];
      out += line(
        `${name}_bucket`,
        { ...labels, le: bound === undefined ? '+Inf' : String(bound / 1000) },
        sum,
      );
    });
    out += line(`${name}_sum`, labels, count.latencySumMs / 1000) + line(`${name}_count`, labels, sum);
  }
  return out;
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
