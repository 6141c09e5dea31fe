import { existsSync } from 'node:fs';
import { readFile, readlink, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createServerFixture, eventually } from './server-fixture.ts';

describe('an agent upgrades its server', () => {
  it('installs the first version, then upgrades to the next, and never runs two at once', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    expect(await agent.status()).toMatchObject({ runningVersion: null, healthy: false, upgrade: null });

    const first = await agent.upgraded(await server.pack('1.4'));
    expect(first).toMatchObject({ runningVersion: '1.4', healthy: true, upgrade: { state: 'done' } });

    const second = await agent.upgraded(await server.pack('2.0-a'));
    expect(second).toMatchObject({ runningVersion: '2.0-a', healthy: true, upgrade: { version: '2.0-a' } });
    expect(await readlink(join(server.dir, 'install/current'))).toBe('releases/2.0-a');
    expect(await server.starts()).toEqual(['1.4', '2.0-a']);
    expect(await server.violations()).toEqual([]);
    expect(await server.livePids()).toHaveLength(1);
  });

  it('runs the same key once, and does nothing for a version that runs already (invariant 9)', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    const params = await server.pack('1.4');
    await agent.upgraded(params, { key: 'once' });
    await agent.upgraded(params, { key: 'once' });
    await agent.upgraded(params, { key: 'another' });
    expect(await agent.status()).toMatchObject({ upgrade: { key: 'another', state: 'done' } });
    expect(await server.starts()).toEqual(['1.4']);
  });

  it('refuses a lower fence, also after a restart, and a late repetition of an older attempt (invariant 4)', async () => {
    await using server = await createServerFixture();
    const [old, next] = [await server.pack('1.4'), await server.pack('2.0-a')];
    {
      await using agent = await server.agent();
      await agent.upgraded(old, { key: 'a', fence: 5 });
      await agent.upgraded(next, { key: 'b', fence: 5 });
    }
    await using agent = await server.agent();
    await expect(agent.upgrade(old, { key: 'c', fence: 4 })).rejects.toMatchObject({ code: 'Fenced' });
    await expect(agent.upgrade(old, { key: 'a', fence: 5 })).rejects.toMatchObject({ code: 'Fenced' });
    await eventually(agent.status, ({ runningVersion }) => runningVersion === '2.0-a');
  });

  it('refuses a package of another service or another operating system', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    const params = await server.pack('1.4');
    await expect(agent.upgrade(params, { service: 'loans' })).rejects.toMatchObject({
      code: 'ServiceUnknown',
    });
    const status = await agent.upgraded({ ...params, os: 'windows' });
    expect(status.upgrade).toMatchObject({ state: 'failed', error: { code: 'OsMismatch' } });
  });

  it('leaves the running version alone when the checksum is wrong', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    await agent.upgraded(await server.pack('1.4'));
    const status = await agent.upgraded({ ...(await server.pack('2.0-a')), sha256: '0'.repeat(64) });
    expect(status).toMatchObject({
      runningVersion: '1.4',
      healthy: true,
      upgrade: { state: 'failed', step: 'fetching', error: { code: 'ChecksumMismatch' } },
    });
    expect(await server.starts()).toEqual(['1.4']);
  });

  it('says that a package is missing, and takes it with a new key once it is there', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    const params = await server.pack('1.4');
    const [path, away] = [join(server.packages, params.fileName), join(server.dir, 'away')];
    await rename(path, away);
    const missing = await agent.upgraded(params, { key: 'first' });
    expect(missing.upgrade).toMatchObject({ state: 'failed', error: { code: 'PackageMissing' } });
    await rename(away, path);
    expect(await agent.upgraded(params, { key: 'first' })).toMatchObject({ upgrade: { state: 'failed' } });
    expect(await agent.upgraded(params, { key: 'second' })).toMatchObject({ runningVersion: '1.4' });
  });

  it('prepares a package, so that the upgrade needs its source no more', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    const params = await server.pack('1.4');
    await agent.prepare(params);
    expect(await agent.status()).toMatchObject({ runningVersion: null, upgrade: null });
    // Unpacked as well: while the server is out of traffic only stopping and starting are left.
    expect(existsSync(join(server.dir, 'install/releases/1.4'))).toBe(true);
    expect(existsSync(join(server.dir, 'install/current'))).toBe(false);
    await rm(join(server.packages, params.fileName));
    await agent.prepare(params);
    expect(await agent.upgraded(params)).toMatchObject({ runningVersion: '1.4' });
    await expect(agent.prepare({ ...params, sha256: 'f'.repeat(64) })).rejects.toMatchObject({
      code: 'PackageMissing',
    });
  });

  it('is busy for another version of the same caller, and is taken over by a newer one', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    await agent.upgraded(await server.pack('1.4'));
    const [stuck, next] = [await server.pack('2.0-a', 'hang'), await server.pack('2.0-b')];
    await agent.upgrade(stuck, { key: 'stuck', fence: 2 });
    await eventually(agent.status, ({ upgrade }) => upgrade?.step === 'waitingForHealth');
    await expect(agent.upgrade(next, { key: 'next', fence: 2 })).rejects.toMatchObject({ code: 'AgentBusy' });
    const status = await agent.upgraded(next, { key: 'next', fence: 3 });
    expect(status).toMatchObject({ runningVersion: '2.0-b', upgrade: { key: 'next', state: 'done' } });
    expect(await server.violations()).toEqual([]);
  });

  it('leaves another package of the same version alone while it runs', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    await agent.upgraded(await server.pack('1.4'));
    const rebuilt = await server.pack('1.4', 'rebuilt');
    expect(await agent.upgraded(rebuilt)).toMatchObject({
      runningVersion: '1.4',
      upgrade: { state: 'done' },
    });
    const link = await readlink(join(server.dir, 'install/current'));
    expect(link).toBe(`releases/1.4~${rebuilt.sha256.slice(0, 12)}`);
  });

  it('keeps as many releases as configured, and no download', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent({ keepReleases: 2 });
    for (const version of ['1', '2', '3']) await agent.upgraded(await server.pack(version));
    await eventually(
      async () => existsSync(join(server.dir, 'install/releases/1')),
      (there) => !there,
    );
    expect(existsSync(join(server.dir, 'install/releases/2'))).toBe(true);
    const marker = await readFile(join(server.dir, 'install/current/.changeover-release.json'), 'utf8');
    expect(JSON.parse(marker)).toMatchObject({ version: '3' });
  });
});
