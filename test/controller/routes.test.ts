import { request } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import type { Transition } from '../../src/domain/routes/transitions.ts';
import { definitionWith, makeStateDir, split, startController, trial } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const eventually = { timeout: 10_000, interval: 10 };

const closeLeft: Transition = { kind: 'close', servers: ['l1'] };
const closeRight: Transition = { kind: 'close', servers: ['r1'] };
const pullA: Transition = { kind: 'pull', release: '2.0-a' };

async function startUpgrade() {
  const dir = await makeStateDir();
  const gateway = await startStubGateway();
  const controller = await startController({ stateDir: dir.path });
  await controller.client.adopt(service, definitionWith([gateway.address]));
  const { fence } = await controller.client.acquire(service, {
    upgradeId: 'u1',
    gateways: [gateway.address],
  });
  return {
    ...controller,
    dir,
    gateway,
    fence,
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe('routes at the controller', () => {
  it('begin with every server open and are published by themselves, and say that an upgrade is under way', async () => {
    await using up = await startUpgrade();
    await vi.waitFor(() => expect(up.gateway.table?.version).toBe(2), eventually);
    const { active } = await up.client.status(service);
    expect(active.servers.every(({ ingress, release }) => ingress === 'open' && release === '1.4')).toBe(
      true,
    );
    expect(up.gateway.table).toEqual(active);
    expect(active.upgrade).toBe('u1');
  });

  it('are adopted once: the same definition again changes nothing, other servers are refused', async () => {
    await using up = await startUpgrade();
    await up.client.activate(service, { fence: up.fence, step: 1, transitions: [closeLeft] });
    const definition = definitionWith([up.gateway.address]);
    expect(await up.client.adopt(service, definition)).toEqual({
      version: 3,
      created: false,
      differing: [],
    });
    const moved = { ...up.gateway.address, admin: 'http://127.0.0.1:1' };
    const otherwise = { ...definition, gateways: [moved], measure: { ...definition.measure, slowMs: 7 } };
    expect(await up.client.adopt(service, otherwise)).toEqual({
      version: 3,
      created: false,
      differing: ['gateways', 'measure'],
    });
    const others = { ...definition, servers: definition.servers.slice(1) };
    await expect(up.client.adopt(service, others)).rejects.toMatchObject({ code: 'InvalidRequest' });
  });

  it('that are staged are not in effect until they are activated, with the version that was reserved', async () => {
    await using up = await startUpgrade();
    const staged = await up.client.stage(service, { fence: up.fence, step: 1, transitions: [...trial] });
    expect(staged).toEqual({ version: 3 });
    const before = await up.client.status(service);
    expect(before.active.version).toBe(2);
    expect(before.staged?.split).toEqual(split);
    expect(await up.client.activate(service, { fence: up.fence, step: 2 })).toEqual({ version: 3 });
    const after = await up.client.status(service);
    expect(after.active.split).toEqual(split);
    expect(after.staged).toBeNull();
  });

  it('that were staged and are activated by a later step once more stay as they are (invariant 9)', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    await up.client.stage(service, { fence, step: 1, transitions: [...trial] });
    const first = await up.client.activate(service, { fence, step: 2 });
    expect(await up.client.activate(service, { fence, step: 4 })).toEqual(first);
  });

  it('that were staged before another change are applied to the present ones, with a fresh version', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    await up.client.stage(service, { fence, step: 1, transitions: [...trial] });
    expect(
      await up.client.activate(service, {
        fence,
        step: 2,
        transitions: [{ kind: 'close', servers: ['b2'] }],
      }),
    ).toEqual({ version: 4 });
    expect(await up.client.activate(service, { fence, step: 3 })).toEqual({ version: 5 });
    const { active } = await up.client.status(service);
    expect(active.split).toEqual(split);
    expect(active.servers.find(({ name }) => name === 'b2')?.ingress).toBe('draining');
  });

  it('keep their version where a change changes nothing (invariant 9)', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    const first = await up.client.activate(service, { fence, step: 1, transitions: [closeLeft] });
    const again = await up.client.activate(service, { fence, step: 2, transitions: [closeLeft] });
    expect(again).toEqual(first);
    expect(await up.client.stage(service, { fence, step: 3, transitions: [closeLeft] })).toEqual(first);
    expect(await up.client.activate(service, { fence, step: 4 })).toEqual(first);
  });

  it('that would leave nobody open are refused as a whole, and the step may be tried again (invariant 3)', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    const all = ['b1', 'b2', 'l1', 'r1'];
    const unsafe = up.client.activate(service, {
      fence,
      step: 1,
      transitions: [{ kind: 'close', servers: all }],
    });
    await expect(unsafe).rejects.toMatchObject({ code: 'UnsafeTransition' });
    expect((await up.client.status(service)).active.version).toBe(2);
    expect(await up.client.activate(service, { fence, step: 1, transitions: [closeLeft] })).toEqual({
      version: 3,
    });
  });

  it('get strictly growing versions, however many stage and activate at once (invariant 4)', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    const calls = Array.from({ length: 30 }, (_, step) => {
      const transitions = [[...trial], [closeLeft], [closeRight], [pullA]][step % 4] ?? [];
      const call = step % 3 === 0 ? up.client.stage : up.client.activate;
      return call(service, { fence, step, transitions }).then(
        ({ version }) => ({ step, version }),
        (error: unknown) => error,
      );
    });
    const results = await Promise.all(calls);
    const { active } = await up.client.status(service);
    for (const result of results) {
      // A step that came after a later one is refused; nothing else may go wrong.
      if (result instanceof Error)
        expect(result).toMatchObject({ code: expect.stringMatching(/Fenced|Unsafe/) });
    }
    await vi.waitFor(() => expect(up.gateway.table?.version).toBe(active.version), eventually);
    const { pushed } = up.gateway;
    expect(new Set(pushed).size).toBeGreaterThan(1);
    expect(up.gateway.table).toEqual(active);
  });

  it('survive a restart of the controller with lock, staged table, answers and acknowledgements', async () => {
    await using up = await startUpgrade();
    const { fence } = up;
    await up.client.activate(service, { fence, step: 1, transitions: [closeLeft] });
    await up.client.stage(service, { fence, step: 2, transitions: [...trial] });
    await up.client.reportReady(service, { fence, step: 3, release: '2.0-a', servers: ['l1'] });
    await up.client.publish(service);
    const before = await up.client.status(service);
    await up.close();

    await using next = await startController({ stateDir: up.dir.path });
    expect(await next.client.status(service)).toEqual(before);
    expect(await next.client.stage(service, { fence, step: 2, transitions: [closeRight] })).toEqual({
      version: 4,
    });
    expect(await next.client.activate(service, { fence, step: 3 })).toEqual({ version: 4 });
    const locked = next.client.acquire(service, { upgradeId: 'u2', gateways: [up.gateway.address] });
    await expect(locked).rejects.toMatchObject({ code: 'ServiceLocked', details: { upgradeId: 'u1' } });
  });
});

describe('the long poll for routes', () => {
  const routesOf = (url: string, query = '', version?: number) =>
    request(`${url}/v1/services/${service}/routes${query}`, {
      headers: version === undefined ? {} : { 'if-none-match': `"${version}"` },
    });

  it('answers at once without a version, and with an ETag', async () => {
    await using up = await startUpgrade();
    const { statusCode, headers, body } = await routesOf(up.url);
    expect([statusCode, headers.etag]).toEqual([200, '"2"']);
    expect(await body.json()).toMatchObject({ version: 2, service });
  });

  it('answers 304 where nothing newer comes in time', async () => {
    await using up = await startUpgrade();
    const { statusCode, body } = await routesOf(up.url, '?waitMs=20', 2);
    await body.dump();
    expect(statusCode).toBe(304);
  });

  it('is woken by an activation', async () => {
    await using up = await startUpgrade();
    const waiting = routesOf(up.url, '?waitMs=60000', 2);
    await up.client.activate(service, { fence: up.fence, step: 1, transitions: [closeLeft] });
    const { statusCode, body } = await waiting;
    expect([statusCode, await body.json()]).toMatchObject([200, { version: 3 }]);
  });

  it('gives a gateway that takes pushes only what no push brings, and at once to one that pulled before', async () => {
    await using up = await startUpgrade();
    await up.client.publish(service);
    const waiting = routesOf(up.url, '?gateway=gw-1&has=2&waitMs=60000', 2);
    await up.client.activate(service, { fence: up.fence, step: 1, transitions: [closeLeft] });
    await up.client.publish(service);
    expect(up.gateway.table?.version).toBe(3);
    await up.gateway.stop();
    const opened = { kind: 'open', servers: closeLeft.servers, release: '1.4' } as const;
    await up.client.activate(service, { fence: up.fence, step: 2, transitions: [opened] });
    const { body } = await waiting;
    expect(await body.json()).toMatchObject({ version: 4 });

    await up.gateway.restart();
    up.gateway.hangs = true;
    const next = routesOf(up.url, '?gateway=gw-1&has=4&waitMs=60000', 4);
    await up.client.activate(service, { fence: up.fence, step: 3, transitions: [closeLeft] });
    expect(await (await next).body.json()).toMatchObject({ version: 5 });
  });

  it('ends with 304 when the controller closes', async () => {
    await using up = await startUpgrade();
    const waiting = routesOf(up.url, '?waitMs=60000', 2);
    // The answer of a later call on another connection says that the poll is not served faster than it should be.
    await (await routesOf(up.url)).body.dump();
    await up.close();
    const { statusCode, body } = await waiting;
    await body.dump();
    expect(statusCode).toBe(304);
  });

  it('refuses a wait of more than a minute', async () => {
    await using up = await startUpgrade();
    const { statusCode, body } = await routesOf(up.url, '?waitMs=60001', 2);
    expect(statusCode).toBe(400);
    expect(await body.json()).toMatchObject({
      error: { code: 'InvalidRequest', message: expect.stringContaining('waitMs') },
    });
  });
});
