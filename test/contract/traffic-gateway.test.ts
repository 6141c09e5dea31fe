import { GatewayFixture, SERVICE, tableOf } from '../gateway/support/gateway-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { createEmbeddedGateway } from '../../src/adapters/embedded-gateway.ts';
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
    gatewayOutOfReach: createEmbeddedGateway({ name: 'gone', admin: 'http://127.0.0.1:1' }),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
});
