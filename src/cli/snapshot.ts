import { createFlowController } from '../adapters/flow-controller.ts';
import { readConfig } from '../config.ts';
import type { GatewaysView } from '../domain/gateway-standing.ts';
import { efficacyQuery, statusQuery, timelineQuery } from '../workflows/messages.ts';
import type { WatchedState } from './change-lines.ts';
import type { UpgradeAccess } from './upgrade-access.ts';

/** The controller is asked for its gateways only in passing: a watch does not wait for it. */
const CONTROLLER_TIMEOUT_MS = 1_000;

/** One look at an upgrade. What the flow controller would add is null where it cannot be reached from here. */
export async function takeSnapshot(upgrade: UpgradeAccess, env: NodeJS.ProcessEnv): Promise<WatchedState> {
  // One after the other: where nobody answers, no question may be left over when the connection is closed.
  const status = await upgrade.query(statusQuery);
  const efficacy = await upgrade.query(efficacyQuery);
  const timeline = await upgrade.query(timelineQuery);
  return { status, efficacy, timeline, gateways: await gatewaysOf(status.service, env) };
}

async function gatewaysOf(service: string, env: NodeJS.ProcessEnv): Promise<GatewaysView | null> {
  const { controller } = readConfig(env);
  try {
    const registry = createFlowController({ ...controller, timeoutMs: CONTROLLER_TIMEOUT_MS });
    const { active, activeSince: since, gateways } = await registry.status(service);
    return { wanted: active.version, since, list: gateways };
  } catch {
    return null;
  }
}
