import { describe, expect, it } from 'vitest';
import type { RouteRegistry, ServiceLock, TrafficObservatory } from '../../src/ports/route-registry.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import type { GatewayAddress } from '../../src/protocol/controller.ts';
import { definitionWith, makeStateDir, startController, trial } from '../controller/running-controller.ts';
import { startStubGateway } from '../controller/stub-gateway.ts';

/** What an adapter under test stands on: an empty registry, and one gateway that takes what it is given. */
interface Fixture extends AsyncDisposable {
  readonly port: RouteRegistry & ServiceLock & TrafficObservatory;
  readonly gateways: readonly GatewayAddress[];
}

const service = 'shop';

async function overHttp(): Promise<Fixture> {
  const dir = await makeStateDir();
  const gateway = await startStubGateway();
  const controller = await startController({ stateDir: dir.path, token: 'token-of-the-contract' });
  return {
    port: controller.client,
    gateways: [gateway.address],
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe.each<[string, () => Promise<Fixture>]>([['flow controller over HTTP', overHttp]])(
  'the route registry: %s',
  (_, start) => {
    it('takes a service over once', async () => {
      await using up = await start();
      await expect(up.port.status(service)).rejects.toMatchObject({ code: 'ServiceUnknown' });
      expect(await up.port.adopt(service, definitionWith(up.gateways))).toEqual({
        version: 1,
        created: true,
        differing: [],
      });
      expect(await up.port.adopt(service, definitionWith(up.gateways))).toEqual({
        version: 1,
        created: false,
        differing: [],
      });
      const { active, staged, lock, ready } = await up.port.status(service);
      expect({ staged, lock, ready }).toEqual({ staged: null, lock: null, ready: {} });
      expect(active).toMatchObject({ service, version: 1, mainRelease: '1.4', split: null });
    });

    it('walks a whole upgrade: lock, stage, activate, publish, read back, ready, guardrails, release', async () => {
      await using up = await start();
      await up.port.adopt(service, definitionWith(up.gateways));
      const { fence } = await up.port.acquire(service, { upgradeId: 'u1', gateways: up.gateways });
      const staged = await up.port.stage(service, { fence, step: 1, transitions: trial });
      const active = await up.port.activate(service, { fence, step: 2 });
      expect(active).toEqual(staged);

      const published = await up.port.publish(service);
      expect(published).toMatchObject({
        version: active.version,
        gateways: [{ acknowledged: active.version, problem: null }],
      });
      await up.port.reportReady(service, { fence, step: 3, release: '2.0-a', servers: ['l1'] });
      await up.port.armGuardrails(service, {
        fence,
        step: 4,
        releases: ['2.0-a'],
        guardrails: { errorRate: { max: 0.05, minRequests: 50 } },
      });
      const load = await up.port.load(service, ['l1']);
      expect(load.gateways).toMatchObject([
        { tableVersion: active.version, servers: [{ name: 'l1', inFlight: 0 }] },
      ]);
      expect(await up.port.traffic(service)).toMatchObject({ service, counts: [], unread: [], pulls: [] });

      await up.port.release(service, { fence, step: 5 });
      const status = await up.port.status(service);
      expect(status.lock).toBeNull();
      expect(status.ready).toMatchObject({ l1: { release: '2.0-a' } });
    });

    it('gives the lock to one upgrade at a time, with growing fences (invariant 4)', async () => {
      await using up = await start();
      const { gateways } = up;
      await up.port.adopt(service, definitionWith(gateways));
      const first = await up.port.acquire(service, { upgradeId: 'u1', gateways });
      expect(await up.port.acquire(service, { upgradeId: 'u1', gateways })).toEqual(first);
      const other = up.port.acquire(service, { upgradeId: 'u2', gateways });
      await expect(other).rejects.toMatchObject({ code: 'ServiceLocked', details: { upgradeId: 'u1' } });
      await up.port.release(service, { ...first, step: 1 });
      const second = await up.port.acquire(service, { upgradeId: 'u2', gateways });
      expect(second.fence).toBeGreaterThan(first.fence);
    });

    it('has the effect of once for a call that is repeated (invariant 9)', async () => {
      await using up = await start();
      await up.port.adopt(service, definitionWith(up.gateways));
      const { fence } = await up.port.acquire(service, { upgradeId: 'u1', gateways: up.gateways });
      const request = { fence, step: 1, transitions: [{ kind: 'close', servers: ['l1'] }] as const };
      const [first, again] = await Promise.all([
        up.port.activate(service, request),
        up.port.activate(service, request),
      ]);
      expect(again).toEqual(first);
      expect((await up.port.status(service)).active.version).toBe(first.version);
    });

    it('refuses a late call and an unsafe change, and nothing has changed (invariants 3 and 4)', async () => {
      await using up = await start();
      await up.port.adopt(service, definitionWith(up.gateways));
      const { fence } = await up.port.acquire(service, { upgradeId: 'u1', gateways: up.gateways });
      const close = (servers: readonly string[]) => [{ kind: 'close', servers }] as const;
      const late = up.port.activate(service, { fence: fence + 1, step: 1, transitions: close(['l1']) });
      await expect(late).rejects.toMatchObject({ code: 'Fenced', retryable: false });
      const all = close(['b1', 'b2', 'l1', 'r1']);
      const unsafe = up.port.activate(service, { fence, step: 1, transitions: all });
      await expect(unsafe).rejects.toMatchObject({ code: 'UnsafeTransition', retryable: false });
      const nothing = up.port.activate(service, { fence, step: 1 });
      await expect(nothing).rejects.toMatchObject({ code: 'StaleRoutes' });
      expect((await up.port.status(service)).active.version).toBe(2);
    });
  },
);

describe('the flow controller over HTTP', () => {
  it('is unreachable, which may be tried again, where nobody listens', async () => {
    await using dir = await makeStateDir();
    const { url, close } = await startController({ stateDir: dir.path });
    await close();
    const status = createFlowController({ url }).status(service);
    await expect(status).rejects.toMatchObject({ code: 'ControllerUnreachable', retryable: true });
    await expect(status).rejects.toThrow(url);
  });
});
