import type { IncomingMessage } from 'node:http';
import type { Plan, PlanInput } from '../../src/domain/plan/schema.ts';
import type { RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { TrafficGateway } from '../../src/ports/traffic-gateway.ts';
import type { GatewayStats, UnitCount } from '../../src/protocol/gateway.ts';
import { serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';

/** A baseline and two candidates, each on a server of its own, for tests of what two gateways count of them. */
const RELEASES = ['1.0', '2.0-a', '2.0-b'];

/** Traffic of which the young are the baseline's, and all others are dealt at random, each group otherwise. */
export const BY_AGE: Pick<PlanInput['traffic'], 'key' | 'account' | 'policy'> = {
  key: { from: 'header', name: 'x-age' },
  account: { from: 'header', name: 'x-account' },
  policy: {
    kind: 'range',
    rules: [
      { below: 18, to: '1.0' },
      { from: 18, below: 35, to: { '2.0-a': 1, '2.0-b': 1 } },
      { from: 35, to: { '2.0-a': 1, '2.0-b': 3 } },
    ],
  },
};

/** One server for each release; `fieldsOf` says what headers an answer has, whose status a request may name. */
export async function serversOfReleases(
  fieldsOf: (req: IncomingMessage) => Readonly<Record<string, string>>,
  status = 200,
): Promise<readonly UpstreamServer[]> {
  const servers = await Promise.all(['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()));
  for (const server of servers)
    server.handler = (req, res) =>
      answer(res, Number(req.headers['x-status'] ?? status), server.name, fieldsOf(req));
  return servers;
}

/** An amount only where the request asks for one. */
export function wantedAmount({ headers }: IncomingMessage): Readonly<Record<string, string>> {
  const amount = headers['x-want'];
  return typeof amount === 'string' ? { 'x-amount': amount } : {};
}

/** The plan's traffic, given to candidates altogether. */
export function splitOfPlan(
  { traffic: { key, policy, account } }: Pick<Plan, 'traffic'>,
  changes: Partial<TrafficSplit> & { readonly counting?: TrialCounting },
): TrafficSplit {
  return {
    ...{ key, policy, withoutKey: '1.0', baseline: '1.0', share: 1, salt: 'trial-1', pulled: [] },
    ...(account === undefined ? {} : { account }),
    ...changes,
  };
}

export function tableOfPlan(
  { measure }: Pick<Plan, 'measure'>,
  servers: readonly UpstreamServer[],
  changes: Partial<RouteTable>,
): RouteTable {
  return tableOf(
    servers.map((server, index) => serverOf(server, { release: RELEASES[index] ?? '' })),
    { measure, ...changes },
  );
}

/** What a gateway says once nothing is pending any more and what is waited for is among its units. */
export async function settled(
  admin: TrafficGateway,
  isThere: (counts: readonly UnitCount[]) => boolean,
  { what = 'all units are settled', timeoutMs }: { what?: string; timeoutMs?: number } = {},
): Promise<GatewayStats> {
  let stats = await admin.stats({});
  await until(
    async () => {
      stats = await admin.stats({});
      return stats.units?.pending === 0 && isThere(stats.units.counts);
    },
    what,
    timeoutMs,
  );
  return stats;
}

/** By table, release and group. */
export function inOrder({ units }: GatewayStats): readonly UnitCount[] {
  const order = ({ release, group }: UnitCount): string => `${release} ${group}`;
  return [...(units?.counts ?? [])].sort(
    (a, b) => a.tableVersion - b.tableVersion || (order(a) < order(b) ? -1 : 1),
  );
}

/** Which units a count is of, and how many. */
export function unitsIn({ tableVersion, release, group, n }: UnitCount): unknown {
  return [tableVersion, release, group, n];
}
