import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIVE_RATES, PRICING_BASELINE, TIERED_RATES } from '../../demo/packages.ts';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { Fleet } from '../../demo/fleet/fleet.ts';
import { until } from '../../demo/fleet/until.ts';
import { executedBy } from './support/route-watch.ts';
import { createTestFleet, startLoad, type TestFleet } from './support/test-fleet.ts';
import { awaitReport } from './support/upgrade-waits.ts';

/** Nobody listens here: a firewall is between the controller and the second sidecar. */
const UNREACHABLE = 'http://127.0.0.1:1';

/** An upgrade of seconds of the inner service, of whose sidecars the controller reaches one. */
function planOf(fleet: Fleet): PlanInput {
  const [near, far] = fleet.gateways;
  const { traffic } = fleet.plan();
  return fleet.plan({
    // The shortest that the load's pauses leave: each drain waits for it.
    traffic: { ...traffic, transactions: { id: { from: 'baggage' }, idle: '2s' } },
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

  it('goes by the policy where nobody passed the decision on, and each sidecar counts that, reachable or not', async () => {
    for (const { name, url } of fleet.gateways) {
      const { statusCode, headers, body } = await request(`${url}/rates`, {
        headers: { 'x-account': '100001' },
      });
      await body.dump();
      expect({ statusCode, version: headers['x-version'] }, name).toEqual({
        statusCode: 200,
        version: '2.0-a',
      });
    }
    const lines = fleet.gateways.map(
      ({ name }) => `changeover_context_total{service="pricing",gateway="${name}",what="missing"} 1`,
    );
    const isTold = async (): Promise<boolean> => {
      const { body } = await request(`${fleet.controller.url}/metrics`);
      const metrics = (await body.text()).split('\n');
      return lines.every((line) => metrics.includes(line));
    };
    await until('the controller knows of both', isTold, { timeoutMs: 10_000 });
  });

  it('is called on by the tables on the disks of its upstreams, all of which were killed, without a controller', async () => {
    const edge = fleet.web!.edge;
    const upstreams = [edge, ...fleet.gateways];
    const before = await Promise.all(upstreams.map(({ adminUrl }) => executedBy(adminUrl)));
    await Promise.all([fleet.controller, ...upstreams].map((one) => one.kill('SIGKILL')));
    await Promise.all(upstreams.map((one) => one.start()));
    await Promise.all(upstreams.map((one) => one.waitForTraffic()));
    const { statusCode, headers, body } = await request(edge.url, { headers: { 'x-account': '100001' } });
    await body.dump();
    // What the web page was told of the service behind it.
    expect({ statusCode, pricing: headers['x-pricing-version'] }).toEqual({
      statusCode: 200,
      pricing: '2.0-a',
    });
    expect(await Promise.all(upstreams.map(({ adminUrl }) => executedBy(adminUrl)))).toEqual(before);
    for (const { name, adminUrl } of fleet.gateways) {
      const { context } = await createGatewayOverHttp({ name, admin: adminUrl }).stats({});
      expect(context, 'the edge still decides for it').toMatchObject({ missing: 0 });
    }
  });
});
