import type { GatewayStats } from '../protocol/gateway.ts';
import type { GatewayConfig } from './config.ts';
import type { TrafficDirector } from './traffic-director.ts';

/** What the gateway tells of its traffic. `epoch` changes with each start, since counters begin at zero with it. */
export function gatewayStats(config: GatewayConfig, director: TrafficDirector, epoch: string): GatewayStats {
  const units = director.units.report();
  return {
    gateway: config.name,
    service: config.service,
    epoch,
    tableVersion: director.routes?.table.version ?? 0,
    servers: director.fleet.load(),
    counts: director.ledger.counts(),
    context: { ...director.context.counts },
    ...(units === undefined ? {} : { units }),
  };
}
