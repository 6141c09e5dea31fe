import { describe } from 'vitest';
import { GatewayFixture, SERVICE, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import { trafficGatewayContract } from './traffic-gateway-contract.ts';

trafficGatewayContract('the embedded gateway', async () => {
  const servers = [
    await new UpstreamServer('one').listen(),
    await new UpstreamServer('two').listen(),
  ] as const;
  const fixture = await GatewayFixture.start(null, { upstreams: servers });
  return {
    gateway: fixture.admin,
    service: SERVICE,
    table: tableOf(servers),
    // Read when used: the traffic port opens with the first table.
    trafficUrl: () => fixture.url,
    gatewayOutOfReach: createGatewayOverHttp({ name: 'gone', admin: 'http://127.0.0.1:1' }),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
});

describe.skipIf(HAPROXY === null && process.env['CHANGEOVER_REQUIRE_ALL'] !== '1')(
  'HAProxy 2.6 or newer',
  () => {
    const ways = { 'a unix socket': false, TCP: true };
    for (const [way, runtimeByTcp] of Object.entries(ways))
      trafficGatewayContract(`HAProxy with its companion, by ${way}`, async () => {
        const servers = [
          await new UpstreamServer('one').listen(),
          await new UpstreamServer('two').listen(),
        ] as const;
        const fixture = await HaproxyFixture.start(planFor(servers), { upstreams: servers, runtimeByTcp });
        return {
          gateway: fixture.admin,
          service: SERVICE,
          table: tableOf(servers),
          trafficUrl: () => fixture.url,
          gatewayOutOfReach: createGatewayOverHttp({ name: 'gone', admin: 'http://127.0.0.1:1' }),
          [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
        };
      });
  },
);
