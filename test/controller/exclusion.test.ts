import { request } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { closing, eventually, service, startPair } from './gateway-pair.ts';
import { countOf, definitionWith, makeStateDir, startController, trial } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

describe('a gateway that is declared gone', () => {
  it('is not waited for: not by publishing, not by counts, not by readings; its counts stay', async () => {
    await using up = await startPair();
    up.two.counts = [countOf({ requests: 7 })];
    await up.client.traffic(service);
    await up.two.stop();
    await up.activate(1, 'l1');
    await expect(up.client.load(service, ['l1'])).rejects.toMatchObject({ code: 'GatewayUnreachable' });
    await up.exclude('gw-2', 2);

    const { version, since, gateways } = await up.client.publish(service);
    expect(since).toEqual(expect.any(String));
    expect(gateways).toMatchObject([
      { name: 'gw-1', acknowledged: version, acknowledgedBy: expect.any(String) },
      {
        name: 'gw-2',
        acknowledged: 2,
        excluded: { by: 'anna', reason: 'switched off', at: expect.any(String), upgradeId: 'u1' },
      },
    ]);
    expect(await up.client.load(service, ['l1'])).toMatchObject({
      gateways: [{ gateway: 'gw-1' }],
      excluded: ['gw-2'],
    });
    const { unread, counts } = await up.client.traffic(service);
    expect({ unread, requests: counts[0]?.requests }).toEqual({ unread: [], requests: 7 });
  });

  it.each<[string, (up: Awaited<ReturnType<typeof startPair>>) => Promise<unknown>, string]>([
    ['answers, whatever it lags behind', (up) => up.exclude('gw-2', 5), 'GatewayAnswers'],
    ['is not known', (up) => up.exclude('gw-9', 5), 'NotFound'],
    [
      'is the last one that counts',
      async (up) => {
        await Promise.all([up.one.stop(), up.two.stop()]);
        await up.exclude('gw-2', 5);
        await up.exclude('gw-1', 6);
      },
      'InvalidRequest',
    ],
    [
      'is named by somebody who does not hold the lock',
      async (up) => {
        await up.two.stop();
        await up.client.release(service, { fence: up.fence, step: 1 });
        await up.exclude('gw-2', 5);
      },
      'Fenced',
    ],
    [
      'asks for routes itself, though it cannot be reached from here',
      async (up) => {
        await up.two.stop();
        const { version } = (await up.client.status(service)).active;
        // What it says it has shows that the long poll has come.
        const query = 'gateway=gw-2&has=1&waitMs=20000';
        const ended = new AbortController();
        const polling = request(`${up.url}/v1/services/${service}/routes?${query}`, {
          headers: { 'if-none-match': `"${version}"` },
          signal: ended.signal,
        }).catch(() => undefined);
        try {
          await vi.waitFor(async () => expect((await up.standing('gw-2'))?.acknowledged).toBe(1), eventually);
          await up.exclude('gw-2', 5);
        } finally {
          ended.abort();
          await polling;
        }
      },
      'GatewayAnswers',
    ],
  ])('is refused where it %s', async (_, act, code) => {
    await using up = await startPair();
    await expect(act(up)).rejects.toMatchObject({ code, retryable: false });
    if (code !== 'InvalidRequest') expect((await up.standing('gw-2'))?.excluded).toBeUndefined();
  });

  it('gets fenced routes when it is back, and counts again from its acknowledgement of them on', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.exclude('gw-2', 1);
    await up.activate(2, 'l1');
    await up.activate(3, 'r1');

    // It comes back with what it had, and asks by itself.
    expect(await up.pull('gw-2', 2)).toMatchObject({ version: 4, fenced: true, upgrade: 'u1' });
    expect((await up.standing('gw-2'))?.excluded).toBeDefined();
    // From here on steps wait for it; what it may serve by is a version that nobody had before.
    expect(await up.pull('gw-2', 4)).toMatchObject({ version: 5 });
    expect(await up.standing('gw-2')).toMatchObject({ acknowledged: 4, acknowledgedBy: 'pull' });
    expect((await up.standing('gw-2'))?.excluded).toBeUndefined();
    expect((await up.pull('gw-2', 4)) as object).not.toHaveProperty('fenced');
    await expect(up.client.load(service, ['l1'])).rejects.toMatchObject({ code: 'GatewayUnreachable' });
  });

  it('counts again by a push just so, without anybody asking', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.exclude('gw-2', 1);
    const { version } = await up.activate(2, 'l1');
    await up.two.restart();
    await vi.waitFor(
      async () => expect((await up.standing('gw-2'))?.acknowledged).toBe(version + 1),
      eventually,
    );
    expect(up.two.table).not.toHaveProperty('fenced');
    expect((await up.standing('gw-2'))?.excluded).toBeUndefined();
  });

  it('stays in, where a late duplicate of the call comes after it is back', async () => {
    await using up = await startPair();
    await up.two.stop();
    await Promise.all([up.exclude('gw-2', 1), up.exclude('gw-2', 1)]);
    await up.activate(2, 'l1');
    await up.pull('gw-2', 3);
    expect((await up.standing('gw-2'))?.excluded).toBeUndefined();
    await up.exclude('gw-2', 1);
    expect((await up.standing('gw-2'))?.excluded).toBeUndefined();
  });

  it('holds up no later upgrade, and is fenced still, though none is under way', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.exclude('gw-2', 1);
    await up.client.release(service, { fence: up.fence, step: 2 });
    expect((await up.client.status(service)).active).not.toHaveProperty('upgrade');
    expect(await up.pull('gw-2', 2)).toMatchObject({ version: 3, fenced: true, upgrade: 'u1' });
    await up.client.acquire(service, { upgradeId: 'u2', gateways: up.gateways });
    const { version, gateways } = await up.client.publish(service);
    expect(gateways).toMatchObject([
      { acknowledged: version },
      { acknowledged: 2, excluded: { by: 'anna' } },
    ]);
  });
});

describe('many gateways', () => {
  it('are published to at once: one that hangs delays nobody', async () => {
    await using dir = await makeStateDir();
    const stubs = await Promise.all(Array.from({ length: 50 }, (_, n) => startStubGateway(`gw-${n}`)));
    await using controller = await startController({ stateDir: dir.path, readIntervalMs: 60_000 });
    try {
      const gateways = stubs.map(({ address }) => address);
      await controller.client.adopt(service, definitionWith(gateways));
      const { fence } = await controller.client.acquire(service, { upgradeId: 'u1', gateways });
      await controller.client.publish(service);
      const [hanging, ...others] = stubs;
      if (hanging === undefined) throw new Error('no gateway');
      hanging.hangs = true;
      const { version } = await controller.client.activate(service, {
        fence,
        step: 1,
        transitions: closing('l1'),
      });
      // The one that hangs is given up after two seconds; by then all the others have long acknowledged.
      await vi.waitFor(async () => {
        const { gateways: standing } = await controller.client.status(service);
        const behind = standing.filter(({ acknowledged }) => acknowledged < version);
        expect(behind).toMatchObject([{ name: 'gw-0', problem: null }]);
      }, eventually);
      expect(others.every(({ table }) => table?.version === version)).toBe(true);
      const answer = await controller.client.publish(service);
      expect(answer.gateways.filter(({ problem }) => problem !== null).map(({ name }) => name)).toEqual([
        'gw-0',
      ]);
    } finally {
      await Promise.all(stubs.map((stub) => stub.stop()));
    }
  });

  it('are asked at once whether they could execute other routes, and nothing changes', async () => {
    await using up = await startPair();
    up.two.problem = 'The lookup file ages.csv cannot be used';
    const before = await up.client.status(service);
    expect(await up.client.checkRoutes(service, trial)).toEqual({
      gateways: [
        { gateway: 'gw-1', problem: null },
        { gateway: 'gw-2', problem: up.two.problem },
      ],
    });
    expect(await up.client.status(service)).toEqual(before);
    await up.two.stop();
    const { gateways } = await up.client.checkRoutes(service, trial);
    expect(gateways[1]?.problem).toContain('gw-2');
  });

  it('are not asked where they only pull: there is no way to them', async () => {
    await using up = await startPair();
    await up.two.stop();
    await up.pull('gw-2', 1);
    const { gateways } = await up.client.checkRoutes(service, trial);
    expect(gateways).toEqual([
      { gateway: 'gw-1', problem: null },
      { gateway: 'gw-2', problem: null },
    ]);
  });
});
