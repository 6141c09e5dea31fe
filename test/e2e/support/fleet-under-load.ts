import type { FleetConfig } from '../../../demo/fleet/config.ts';
import type { Fleet } from '../../../demo/fleet/fleet.ts';
import type { LoadProcess } from '../../../demo/load/process.ts';
import type { PlanInput } from '../../../src/domain/plan/schema.ts';
import { createBusinessClient, type BusinessClient } from './business-client.ts';
import { watchRoutes, type RouteWatch } from './route-watch.ts';
import { createTestFleet, startLoad, type TestFleet } from './test-fleet.ts';

/** A fleet with its service under management and under load, and what is written down to judge it by. */
export interface FleetUnderLoad extends AsyncDisposable {
  readonly fleet: TestFleet;
  readonly watch: RouteWatch;
  readonly load: LoadProcess;
  /** Of the first gateway. */
  readonly client: BusinessClient;
}

/** The load comes in by the gateways that `loaded` chooses, all of them by default. */
export async function createFleetUnderLoad(
  config: FleetConfig,
  {
    planOf,
    loaded = (fleet) => fleet.gateways,
    ratePerSecond,
  }: {
    planOf?: (fleet: Fleet) => PlanInput;
    loaded?: (fleet: Fleet) => Fleet['gateways'];
    ratePerSecond?: number;
  } = {},
): Promise<FleetUnderLoad> {
  const fleet = await createTestFleet(config, planOf);
  const watch = watchRoutes(fleet);
  const rate = ratePerSecond === undefined ? {} : { ratePerSecond };
  const load = await startLoad(fleet, { gateways: loaded(fleet), ...rate });
  return {
    fleet,
    watch,
    load,
    client: createBusinessClient(fleet.gateway),
    [Symbol.asyncDispose]: async () => {
      await load[Symbol.asyncDispose]();
      await watch[Symbol.asyncDispose]();
      await fleet.close();
    },
  };
}
