import { createFleet, type Fleet } from '../../../demo/fleet/fleet.ts';
import type { FleetConfig } from '../../../demo/fleet/config.ts';
import { spawnLoad, type LoadProcess } from '../../../demo/load/process.ts';
import type { Mix } from '../../../demo/load/mix.ts';
import type { BusinessRelease } from '../../../demo/packages.ts';
import { demoPlan } from '../../../demo/plan.ts';
import type { PlanInput } from '../../../src/domain/plan/schema.ts';

export interface TestFleet extends Fleet {
  /** Processes that ended although no test ended them. */
  readonly unexpectedEnds: readonly string[];
}

/**
 * A fleet with the service under management, as `planOf` says (by default the fleet's own plan).
 * `CHANGEOVER_KEEP_FLEET=1` keeps its folder, to look at logs.
 */
export async function createTestFleet(
  config: FleetConfig,
  planOf: (fleet: Fleet) => PlanInput = (fleet) => fleet.plan(),
): Promise<TestFleet> {
  const unexpectedEnds: string[] = [];
  const fleet = await createFleet({
    keepFolder: process.env.CHANGEOVER_KEEP_FLEET === '1',
    onUnexpectedEnd: (name, how) => unexpectedEnds.push(`${name}: ${how}`),
    ...config,
  });
  try {
    await fleet.adopt(planOf(fleet));
  } catch (error) {
    await fleet.close();
    throw error;
  }
  return Object.assign(fleet, { unexpectedEnds });
}

/** An upgrade of seconds from the fleet's baseline to the given releases, one a cluster. */
export function shortPlan(
  fleet: Fleet,
  { baseline, candidates }: { baseline: BusinessRelease; candidates: readonly BusinessRelease[] },
  change: Partial<PlanInput> = {},
): PlanInput {
  const names = [...new Set(fleet.servers.map(({ cluster }) => cluster))];
  const clusters = names.map((name) => ({
    name,
    servers: fleet.servers.filter(({ cluster }) => cluster === name),
  }));
  const { packages, gateways } = fleet;
  return {
    ...demoPlan({ baseline, candidates, packages, clusters, gateways }),
    trial: {
      stages: [
        { share: '30%', length: '1s' },
        { share: '100%', length: '1500ms' },
      ],
      readEvery: '500ms',
      minSamples: 5,
      baselineShare: '10%',
    },
    // Decides at the end of a trial of seconds, whatever the machine has to carry besides.
    decision: { rule: 'max-efficacy' },
    promotion: { batch: 1 },
    minServing: 1,
    ...change,
  };
}

/** More visits than the demo has, so that a trial of seconds has its samples. */
const MIX: Mix = { quick: 40, visit: 55, slow: 1, transaction: 4 };

/** Load on the given gateways, all of them by default. */
export function startLoad(
  fleet: Fleet,
  {
    ratePerSecond = 80,
    gateways = fleet.gateways,
    mix = {},
    seed = 1,
  }: {
    ratePerSecond?: number;
    gateways?: Fleet['gateways'];
    mix?: Partial<Mix>;
    seed?: number;
  } = {},
): Promise<LoadProcess> {
  return spawnLoad({
    url: gateways.map(({ url }) => url),
    ratePerSecond,
    accounts: 300,
    seed,
    mix: { ...MIX, ...mix },
  });
}
