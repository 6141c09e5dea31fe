import { describe, expect, it, vi } from 'vitest';
import { request } from 'undici';
import { acknowledge } from '../../src/controller/acknowledgements.ts';
import { adopt } from '../../src/controller/service-state.ts';
import { eventually, service, startPair } from './gateway-pair.ts';
import { definitionWith } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

describe('publishing', () => {
  it('says who acknowledged, and why another did not, since when', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.activate(1, 'l1');
    const answer = await up.client.publish(service);
    expect(answer.version).toBe(3);
    expect(answer.gateways).toMatchObject([
      { name: 'gw-1', acknowledged: 3, acknowledgedBy: 'push', problem: null, problemSince: null },
      {
        name: 'gw-2',
        acknowledged: 2,
        problem: expect.stringContaining('ECONNREFUSED'),
        problemSince: expect.any(String),
      },
    ]);
    const since = answer.gateways[1]?.problemSince;
    const again = await up.client.publish(service);
    expect(again.gateways[1]?.problemSince).toBe(since);
  });

  it('goes on by itself until a gateway that was away has caught up', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.activate(1, 'l1');
    await vi.waitFor(async () => {
      const { gateways } = await up.client.status(service);
      expect(gateways[1]?.problem).not.toBeNull();
    }, eventually);
    await up.two.restart();
    await vi.waitFor(
      async () => expect(await up.acknowledged()).toEqual({ 'gw-1': 3, 'gw-2': 3 }),
      eventually,
    );
    const { gateways } = await up.client.status(service);
    expect(gateways[1]?.problem).toBeNull();
    expect(up.two.table?.version).toBe(3);
  });

  it('counts what a gateway pulled by itself, and takes it off those who lag behind', async () => {
    await using up = await startPair();
    up.two.hangs = true;
    await up.activate(1, 'l1');
    const ack = await request(`${up.url}/v1/services/${service}/routes/ack`, {
      method: 'POST',
      body: JSON.stringify({ gateway: 'gw-2', version: 3 }),
    });
    await ack.body.dump();
    expect(ack.statusCode).toBe(204);
    await vi.waitFor(
      async () => expect(await up.acknowledged()).toEqual({ 'gw-1': 3, 'gw-2': 3 }),
      eventually,
    );
  });

  it('believes a gateway that lost its disk, and gives it the routes again (invariant 2)', async () => {
    await using up = await startPair();
    await up.activate(1, 'l1');
    await up.client.publish(service);
    up.two.hangs = true;
    await up.two.restart({ keepTable: false });
    const poll = await request(`${up.url}/v1/services/${service}/routes?gateway=gw-2&has=0`);
    expect(await poll.body.json()).toMatchObject({ version: 3 });
    expect(await up.acknowledged()).toEqual({ 'gw-1': 3, 'gw-2': 0 });
    up.two.hangs = false;
    await vi.waitFor(() => expect(up.two.table?.version).toBe(3), eventually);
    await vi.waitFor(
      async () => expect(await up.acknowledged()).toEqual({ 'gw-1': 3, 'gw-2': 3 }),
      eventually,
    );
  });

  it('notices at the next reading that a gateway lost its routes', async () => {
    await using up = await startPair();
    await up.two.restart({ keepTable: false });
    await vi.waitFor(() => expect(up.two.table?.version).toBe(2), eventually);
  });

  it('overtakes a gateway that has newer routes than the controller knows of (invariant 4)', async () => {
    await using up = await startPair();
    const { active } = await up.client.status(service);
    up.two.table = { ...active, version: 57 };
    await vi.waitFor(() => expect(up.two.table?.version).toBe(58), eventually);
    await vi.waitFor(
      async () => expect(await up.acknowledged()).toEqual({ 'gw-1': 58, 'gw-2': 58 }),
      eventually,
    );
    expect(await up.activate(1, 'l1')).toEqual({
      version: 59,
    });
  });

  it('holds a gateway that the lock brings along for unacknowledged', async () => {
    await using up = await startPair();
    await using three = await startStubGateway('gw-3');
    three.hangs = true;
    await up.client.acquire(service, { upgradeId: 'u1', gateways: [...up.gateways, three.address] });
    expect(await up.acknowledged()).toEqual({ 'gw-1': 2, 'gw-2': 2, 'gw-3': 0 });
  });

  it('refuses the lock to a plan that leaves a gateway out, and nothing changes (invariant 2)', async () => {
    await using up = await startPair();
    await up.client.release(service, { fence: up.fence, step: 1 });
    await up.client.publish(service);
    const before = await up.acknowledged();
    await using three = await startStubGateway('gw-3');
    const forgetful = { upgradeId: 'u2', gateways: [up.one.address, three.address] };
    const refused = up.client.acquire(service, forgetful);
    await expect(refused).rejects.toMatchObject({ code: 'PreflightFailed', retryable: false });
    await expect(refused).rejects.toThrow(/leaves out gw-2.*changeover remove-gateway shop gw-2/);
    expect((await up.client.status(service)).lock).toBeNull();
    expect(await up.acknowledged()).toEqual(before);

    await up.client.removeGateway(service, { gateway: 'gw-2', by: 'anna' });
    await up.client.acquire(service, forgetful);
    expect(Object.keys(await up.acknowledged())).toEqual(['gw-1', 'gw-3']);
  });

  it('waits for every gateway until it is removed: not while an upgrade runs, not the only one', async () => {
    await using up = await startPair();
    const remove = (gateway: string) => up.client.removeGateway(service, { gateway, by: 'anna' });
    await expect(remove('gw-2')).rejects.toMatchObject({ code: 'ServiceLocked' });
    await up.client.release(service, { fence: up.fence, step: 1 });
    await expect(remove('gw-9')).rejects.toMatchObject({ code: 'NotFound' });
    await remove('gw-2');
    await expect(remove('gw-1')).rejects.toMatchObject({ code: 'InvalidRequest' });
    expect(Object.keys(await up.acknowledged())).toEqual(['gw-1']);
  });
});

describe('an acknowledgement', () => {
  const address = { name: 'gw-1', kind: 'embedded', admin: 'http://127.0.0.1:1' } as const;
  const adopted = adopt(undefined, {
    service,
    definition: definitionWith([address]),
    at: new Date('2026-01-01T00:00:00Z'),
  }).state;
  const base = { ...adopted, active: { ...adopted.active, version: 8 }, lastVersion: 8 };
  const [before, between, after] = ['2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', '2026-01-01T00:00:02Z'];
  const at8 = acknowledge(base, {
    gateway: 'gw-1',
    by: 'push',
    version: 8,
    asOf: between,
    at: between,
  }).state;

  it.each([
    ['a lower version that was asked for before is no news', { version: 7, asOf: before }, 8],
    ['a lower version that was asked for afterwards is true', { version: 7, asOf: after }, 7],
    ['of an unknown gateway changes nothing', { version: 3, asOf: after, gateway: 'gw-9' }, 8],
  ])('%s', (_, ack, expected) => {
    const { state } = acknowledge(at8, { gateway: 'gw-1', by: 'push', at: after, ...ack });
    expect(state.gateways[0]?.state.acknowledged).toBe(expected);
  });

  it('that says nothing new is not even written', () => {
    expect(acknowledge(at8, { gateway: 'gw-1', by: 'push', version: 8, asOf: after, at: after }).state).toBe(
      at8,
    );
  });
});
