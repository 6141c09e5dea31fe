import { createAgentOverHttp } from '../../src/adapters/agent-over-http.ts';
import { createServerFixture, freePort } from '../agent/server-fixture.ts';
import { describeServerAgent } from './server-agent-contract.ts';

describeServerAgent('the agent over HTTP', async () => {
  const server = await createServerFixture();
  const agent = await server.agent();
  return {
    port: createAgentOverHttp(),
    address: { server: 'web-1', agent: agent.url },
    nowhere: { server: 'web-2', agent: `http://127.0.0.1:${await freePort()}` },
    pack: (version, options) => server.pack(version, options?.broken ? 'crash' : 'serve'),
    [Symbol.asyncDispose]: async () => {
      await agent[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});
