import { describe, expect, it } from 'vitest';
import type { Transition } from '../../src/domain/routes/transitions.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import { definitionWith, makeStateDir, startController } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const closeLeft: Transition[] = [{ kind: 'close', servers: ['l1'] }];
const closeRight: Transition[] = [{ kind: 'close', servers: ['r1'] }];

/** `earlier` was an upgrade before; `fence` holds the lock, and applied step 5 (version 5) and step 7 (version 6): taking and releasing the lock takes a version each. */
async function startFenced() {
  const dir = await makeStateDir();
  const gateway = await startStubGateway();
  const controller = await startController({ stateDir: dir.path });
  const { client } = controller;
  const gateways = [gateway.address];
  await client.adopt(service, definitionWith(gateways));
  const { fence: earlier } = await client.acquire(service, { upgradeId: 'u1', gateways });
  await client.release(service, { fence: earlier, step: 0 });
  const { fence } = await client.acquire(service, { upgradeId: 'u2', gateways });
  await client.activate(service, { fence, step: 5, transitions: closeLeft });
  await client.activate(service, { fence, step: 7, transitions: closeRight });
  return {
    ...controller,
    gateways,
    earlier,
    fence,
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

type Fenced = Awaited<ReturnType<typeof startFenced>>;

describe('fencing (invariants 4 and 9)', () => {
  it.each<[string, (up: Fenced) => Promise<unknown>, unknown]>([
    [
      'a call of an earlier upgrade is refused',
      ({ client, earlier }) => client.activate(service, { fence: earlier, step: 99, transitions: closeLeft }),
      'Fenced',
    ],
    [
      'a fence that was never given is refused',
      ({ client, fence }) => client.activate(service, { fence: fence + 1, step: 99, transitions: closeLeft }),
      'Fenced',
    ],
    [
      'the newest step again is answered as the first time',
      ({ client, fence }) => client.activate(service, { fence, step: 7, transitions: closeRight }),
      { version: 6 },
    ],
    [
      'an older step that was applied is answered as the first time',
      ({ client, fence }) => client.activate(service, { fence, step: 5, transitions: closeLeft }),
      { version: 5 },
    ],
    [
      'a repeated step has no effect, whatever it brings',
      ({ client, fence }) =>
        client.activate(service, {
          fence,
          step: 5,
          transitions: [{ kind: 'open', servers: ['r1'], release: '9.9' }],
        }),
      { version: 5 },
    ],
    [
      'an older step that never came is refused',
      ({ client, fence }) => client.activate(service, { fence, step: 6, transitions: closeLeft }),
      'Fenced',
    ],
    [
      'an older step of another kind is refused',
      ({ client, fence }) => client.stage(service, { fence, step: 5, transitions: closeLeft }),
      'Fenced',
    ],
    [
      'another kind may share the newest step',
      ({ client, fence }) => client.stage(service, { fence, step: 7, transitions: closeLeft }),
      { version: 6 },
    ],
    [
      'guardrails of an earlier upgrade are refused',
      ({ client, earlier }) =>
        client.armGuardrails(service, { fence: earlier, step: 99, releases: ['2.0-a'], guardrails: {} }),
      'Fenced',
    ],
    [
      'a readiness report of an earlier upgrade is refused',
      ({ client, earlier }) =>
        client.reportReady(service, { fence: earlier, step: 99, release: '2.0-a', servers: ['l1'] }),
      'Fenced',
    ],
    [
      'a readiness report of a cluster that was overtaken by another still counts',
      ({ client, fence }) =>
        client.reportReady(service, { fence, step: 3, release: '2.0-a', servers: ['l1'] }),
      undefined,
    ],
    [
      'a readiness report of an unknown server is refused',
      ({ client, fence }) =>
        client.reportReady(service, { fence, step: 8, release: '2.0-a', servers: ['x'] }),
      'InvalidRequest',
    ],
    [
      'the lock is confirmed to its holder with the same fence',
      async ({ client, gateways, fence }) =>
        (await client.acquire(service, { upgradeId: 'u2', gateways })).fence - fence,
      0,
    ],
    [
      'the lock is refused to another upgrade',
      ({ client, gateways }) => client.acquire(service, { upgradeId: 'u3', gateways }),
      'ServiceLocked',
    ],
    [
      'a release of the earlier lock, repeated late, is content and changes nothing',
      ({ client, earlier }) => client.release(service, { fence: earlier, step: 0 }),
      undefined,
    ],
    [
      'a release with an older step is refused',
      ({ client, fence }) => client.release(service, { fence, step: 6 }),
      'Fenced',
    ],
  ])('%s', async (_, call, expected) => {
    await using up = await startFenced();
    const before = await up.client.status(service);
    if (typeof expected === 'string') {
      await expect(call(up)).rejects.toMatchObject({ code: expected satisfies string as ErrorCode });
    } else {
      expect(await call(up)).toEqual(expected);
    }
    const after = await up.client.status(service);
    expect(after.active).toEqual(before.active);
    expect(after.lock).toEqual(before.lock);
  });

  it('a released lock fences off its holder, and releasing it again is content', async () => {
    await using up = await startFenced();
    await up.client.release(service, { fence: up.fence, step: 8 });
    await up.client.release(service, { fence: up.fence, step: 8 });
    const late = up.client.activate(service, { fence: up.fence, step: 9, transitions: closeLeft });
    await expect(late).rejects.toMatchObject({ code: 'Fenced' });
    const { lock, staged } = await up.client.status(service);
    expect({ lock, staged }).toEqual({ lock: null, staged: null });
    expect(await up.client.acquire(service, { upgradeId: 'u3', gateways: up.gateways })).toEqual({
      fence: up.fence + 1,
    });
  });

  it('a controller that was set up anew goes on above the fences that agents have seen', async () => {
    await using up = await startFenced();
    await using dir = await makeStateDir();
    await using anew = await startController({ stateDir: dir.path });
    const now = Math.floor(Date.now() / 1000);
    await anew.client.adopt(service, definitionWith(up.gateways));
    const { fence } = await anew.client.acquire(service, { upgradeId: 'u1', gateways: up.gateways });
    expect(fence).toBeGreaterThan(now);
    // What agents keep: the fence first, then the step.
    expect(Number.isSafeInteger(fence * 1_000_000 + 999_999)).toBe(true);
  });

  it('reports of readiness are ordered per server', async () => {
    await using up = await startFenced();
    await up.client.reportReady(service, { fence: up.fence, step: 9, release: '2.0-b', servers: ['l1'] });
    await up.client.reportReady(service, {
      fence: up.fence,
      step: 8,
      release: '2.0-a',
      servers: ['l1', 'r1'],
    });
    const { ready } = await up.client.status(service);
    expect({ l1: ready['l1']?.release, r1: ready['r1']?.release }).toEqual({ l1: '2.0-b', r1: '2.0-a' });
  });

  it('of two upgrades that ask for the lock at once, one gets it', async () => {
    await using up = await startFenced();
    await up.client.release(service, { fence: up.fence, step: 8 });
    const asked = await Promise.allSettled(
      ['u3', 'u4', 'u5'].map((upgradeId) => up.client.acquire(service, { upgradeId, gateways: up.gateways })),
    );
    expect(asked.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('a service that nobody took over is not known', async () => {
    await using up = await startFenced();
    await expect(up.client.status('other')).rejects.toMatchObject({ code: 'ServiceUnknown' });
    const adopted = up.client.adopt('../escape', definitionWith(up.gateways));
    await expect(adopted).rejects.toMatchObject({ code: 'InvalidRequest' });
  });
});
