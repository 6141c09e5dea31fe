import type { GatewayStats } from '../protocol/gateway.ts';

/** What Prometheus may want to know of the companion; all of the traffic is in HAProxy's own exporter. */
export function companionMetrics({ gateway, service, tableVersion, servers }: GatewayStats): string {
  const labels = `gateway="${gateway}",service="${service}"`;
  return [
    '# HELP changeover_gateway_table_version Version of the route table that HAProxy executes.',
    '# TYPE changeover_gateway_table_version gauge',
    `changeover_gateway_table_version{${labels}} ${tableVersion}`,
    '# HELP changeover_gateway_in_flight Requests under way, by server.',
    '# TYPE changeover_gateway_in_flight gauge',
    ...servers.map(
      ({ name, inFlight }) => `changeover_gateway_in_flight{${labels},server="${name}"} ${inFlight}`,
    ),
    '',
  ].join('\n');
}
