import { request } from 'undici';
import type { Transition } from '../../src/domain/routes/transitions.ts';
import { definitionWith, makeStateDir, startController } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

export const service = 'shop';
/** For conditions that the controller brings about by itself. */
export const eventually = { timeout: 15_000, interval: 10 };

export const closing = (server: string): Transition[] => [{ kind: 'close', servers: [server] }];

/** A controller and two gateways, both of which acknowledged that an upgrade is under way (route table 2). */
export async function startPair() {
  const dir = await makeStateDir();
  const [one, two] = await Promise.all([startStubGateway('gw-1'), startStubGateway('gw-2')]);
  const controller = await startController({ stateDir: dir.path });
  const { client, url } = controller;
  const gateways = [one.address, two.address];
  await client.adopt(service, definitionWith(gateways));
  const { fence } = await client.acquire(service, { upgradeId: 'u1', gateways });
  await client.publish(service);
  return {
    ...{ client, url, one, two, gateways, fence },
    activate: (step: number, server: string) =>
      client.activate(service, { fence, step, transitions: closing(server) }),
    exclude: (gateway: string, step: number) =>
      client.excludeGateway(service, { fence, step, gateway, by: 'anna', reason: 'switched off' }),
    standing: async (name: string) =>
      (await client.status(service)).gateways.find((gateway) => gateway.name === name),
    acknowledged: async () => {
      const { gateways: all } = await client.status(service);
      return Object.fromEntries(all.map(({ name, acknowledged }) => [name, acknowledged]));
    },
    /** Asks for routes as a gateway that has this version; undefined where there are none newer. */
    pull: async (name: string, has: number) => {
      const answer = await request(`${url}/v1/services/${service}/routes?gateway=${name}&has=${has}`, {
        headers: { 'if-none-match': `"${has}"` },
      });
      return answer.statusCode === 200 ? ((await answer.body.json()) as { version: number }) : undefined;
    },
    async [Symbol.asyncDispose]() {
      await controller.close();
      await Promise.all([one.stop(), two.stop()]);
      await dir[Symbol.asyncDispose]();
    },
  };
}
