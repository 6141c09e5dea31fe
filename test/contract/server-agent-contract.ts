import { describe, expect, it } from 'vitest';
import type { UpgradeParams } from '../../src/domain/upgrade-params.ts';
import type { AgentAddress, ServerAgent } from '../../src/ports/server-agent.ts';
import { eventually } from '../agent/server-fixture.ts';

/** One server with an agent that serves `wealth` and runs nothing yet. */
export interface ServerAgentWorld extends AsyncDisposable {
  readonly port: ServerAgent;
  readonly address: AgentAddress;
  /** A package of this version that can be installed; `broken`: it ends at its start. */
  pack(version: string, options?: { broken?: boolean }): Promise<UpgradeParams>;
  /** The same port, as seen with an agent that does not answer. */
  readonly nowhere: AgentAddress;
}

/** What every implementation of the port `ServerAgent` has to do, the fake included. */
export function describeServerAgent(name: string, createWorld: () => Promise<ServerAgentWorld>): void {
  const request = (key: string, fence: number, params: UpgradeParams) => ({
    key,
    fence,
    service: 'wealth',
    params,
  });

  const settled = (world: ServerAgentWorld) =>
    eventually(
      () => world.port.status(world.address),
      ({ upgrade }) => upgrade !== null && upgrade.state !== 'running',
    );

  describe(`${name} as a server agent`, () => {
    it('says that nothing runs before the first upgrade', async () => {
      await using world = await createWorld();
      expect(await world.port.status(world.address)).toMatchObject({
        server: world.address.server,
        service: 'wealth',
        runningVersion: null,
        healthy: false,
        upgrade: null,
      });
    });

    it('answers an upgrade at once, with its key, and ends it', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      const accepted = await world.port.upgrade(world.address, request('a', 1, params));
      expect(accepted.upgrade).toMatchObject({ key: 'a', version: '1.4' });
      expect(await settled(world)).toMatchObject({
        runningVersion: '1.4',
        healthy: true,
        upgrade: { key: 'a', state: 'done' },
      });
    });

    it('answers who waits once the upgrade is over', async () => {
      await using world = await createWorld();
      await world.port.upgrade(world.address, request('a', 1, await world.pack('1.4')));
      expect(await world.port.status(world.address, { waitMs: 30_000 })).toMatchObject({
        runningVersion: '1.4',
        healthy: true,
        upgrade: { key: 'a', state: 'done' },
      });
    });

    it('answers who pushes and waits once the upgrade is over', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      expect(
        await world.port.upgrade(world.address, request('a', 1, params), { waitMs: 30_000 }),
      ).toMatchObject({
        runningVersion: '1.4',
        healthy: true,
        upgrade: { key: 'a', state: 'done' },
      });
    });

    it('takes the same key twice as once (invariant 9)', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      await world.port.upgrade(world.address, request('a', 1, params));
      const before = await settled(world);
      const after = await world.port.upgrade(world.address, request('a', 1, params));
      expect(after.upgrade).toEqual(before.upgrade);
    });

    it('prepares a package without touching what runs', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      await world.port.prepare(world.address, { service: 'wealth', params });
      await world.port.prepare(world.address, { service: 'wealth', params });
      expect(await world.port.status(world.address)).toMatchObject({ runningVersion: null, upgrade: null });
    });

    it('says at preparation what is wrong with a package', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      const prepare = (more: Partial<UpgradeParams>) =>
        world.port.prepare(world.address, { service: 'wealth', params: { ...params, ...more } });
      await expect(prepare({ sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'ChecksumMismatch' });
      await expect(prepare({ os: 'windows' })).rejects.toMatchObject({ code: 'OsMismatch' });
      await expect(prepare({ fileName: 'none.tgz', sha256: '1'.repeat(64) })).rejects.toMatchObject({
        code: 'PackageMissing',
      });
    });

    it('refuses whatever is older than the newest caller (invariant 4)', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      await world.port.upgrade(world.address, request('a', 7, params));
      await settled(world);
      await expect(world.port.upgrade(world.address, request('b', 6, params))).rejects.toMatchObject({
        code: 'Fenced',
      });
    });

    it('keeps the old version when the new one does not start', async () => {
      await using world = await createWorld();
      await world.port.upgrade(world.address, request('a', 1, await world.pack('1.4')));
      await settled(world);
      await world.port.upgrade(world.address, request('b', 1, await world.pack('2.0-a', { broken: true })));
      expect(await settled(world)).toMatchObject({
        runningVersion: '1.4',
        healthy: true,
        upgrade: { key: 'b', state: 'failed', error: { code: 'StartFailed' } },
      });
    });

    it('refuses another service', async () => {
      await using world = await createWorld();
      const params = await world.pack('1.4');
      const other = { ...request('a', 1, params), service: 'loans' };
      await expect(world.port.upgrade(world.address, other)).rejects.toMatchObject({
        code: 'ServiceUnknown',
      });
    });

    it('is unreachable where nobody answers', async () => {
      await using world = await createWorld();
      await expect(world.port.status(world.nowhere)).rejects.toMatchObject({ code: 'AgentUnreachable' });
    });
  });
}
