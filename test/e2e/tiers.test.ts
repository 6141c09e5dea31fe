import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIVE_RATES, PRICING_BASELINE, TIERED_RATES } from '../../demo/packages.ts';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { createTestFleet, startLoad, type TestFleet } from './support/test-fleet.ts';
import { awaitReport } from './support/upgrade-waits.ts';

/** Nobody listens here: a firewall is between the controller and the second sidecar. */
const UNREACHABLE = 'http://127.0.0.1:1';

/** An upgrade of seconds of the inner service, of whose sidecars the controller reaches one. */
function planOf(fleet: Fleet): PlanInput {
  const [near, far] = fleet.gateways;
  return fleet.plan({
    gateways: [
      { name: near?.name ?? '', admin: near?.adminUrl ?? '' },
      { name: far?.name ?? '', admin: UNREACHABLE },
    ],
    trial: {
      stages: [
        { share: '30%', length: '1s' },
        { share: '100%', length: '2s' },
      ],
      readEvery: '500ms',
      minSamples: 5,
      baselineShare: '10%',
    },
    decision: { rule: 'max-efficacy' },
    approval: 'automatic',
    minServing: 1,
  });
}

interface Call {
  readonly business: string;
  readonly server: string;
  readonly version: string;
}

async function callsOf(fleet: Fleet): Promise<Call[]> {
  const files = await Promise.all(fleet.servers.map(({ callsFile }) => readFile(callsFile, 'utf8')));
  return files.flatMap((text) => text.trim().split('\n')).map((line) => JSON.parse(line) as Call);
}

describe('an inner service upgraded under a web layer', () => {
  let fleet: TestFleet;

  beforeAll(async () => {
    fleet = await createTestFleet(
      {
        tiers: true,
        clusters: { core: 1, blue: 1, green: 1 },
        gateways: 2,
        baseline: PRICING_BASELINE,
        candidates: [LIVE_RATES, TIERED_RATES],
      },
      planOf,
    );
  });
  afterAll(() => fleet.close());

  it('loses nothing, cuts nothing, and shows each business transaction one version, by clients and servers', async () => {
    await using load = await startLoad(fleet, { gateways: fleet.entrances, ratePerSecond: 60 });
    await fleet.start(planOf(fleet));
    const report = await awaitReport(fleet, { timeoutMs: 100_000 });
    const summary = await load.stop();

    expect(report).toMatchObject({ outcome: 'promoted', winner: '2.0-a' });
    expect(summary).toMatchObject({ lost: 0, mixed: 0, mixes: [] });
    expect(summary.transactions).toMatchObject({ cut: 0, underWay: 0 });
    expect(Object.keys(summary.byVersion).sort(), 'all versions were met').toEqual(['1.0', '2.0-a', '2.0-b']);

    const calls = await callsOf(fleet);
    const met = new Map<string, Set<string>>();
    for (const { business, version } of calls)
      met.set(business, (met.get(business) ?? new Set()).add(version));
    expect([...met].filter(([, versions]) => versions.size > 1)).toEqual([]);
    expect(met.size).toBeGreaterThan(summary.transactions.started);

    for (const { name, adminUrl } of fleet.gateways) {
      const { context, tableVersion } = await createGatewayOverHttp({ name, admin: adminUrl }).stats({});
      expect(context, name).toMatchObject({ missing: 0, dropped: 0 });
      expect(tableVersion).toBe((await fleet.registry.status(fleet.service)).active.version);
    }
    for (const server of fleet.servers) expect((await server.status()).runningVersion).toBe('2.0-a');
    for (const server of fleet.web?.servers ?? []) expect((await server.status()).runningVersion).toBe('1.4');
    expect(fleet.unexpectedEnds).toEqual([]);
  });
});
