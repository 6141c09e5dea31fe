import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { request } from 'undici';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import { GatewayFixture, serverOf, tableOf, until } from './support/gateway-fixture.ts';
import { UpstreamServer } from './support/upstream-server.ts';

const byAge = (lookup: string): TrafficSplit => ({
  key: { from: 'header', name: 'x-account', lookup },
  policy: { kind: 'range', rules: [{ below: 35, to: '2.0' }], otherwise: '1.0' },
  withoutKey: '1.0',
  baseline: '1.0',
  share: 1,
  salt: 's',
  pulled: [],
});

describe('a policy that looks its key up in a file', () => {
  let folder: string;
  let fixture: GatewayFixture;
  let servers: readonly UpstreamServer[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lookup-'));
    servers = [await new UpstreamServer('old').listen(), await new UpstreamServer('new').listen()];
    fixture = await GatewayFixture.start(null, { upstreams: servers, config: { lookupDir: folder } });
  });
  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const publish = (lookup: string, version = 1): Promise<unknown> => {
    const [old, candidate] = servers;
    if (old === undefined || candidate === undefined) throw new Error('no servers');
    const table = tableOf([serverOf(old), serverOf(candidate, { release: '2.0' })], {
      split: byAge(lookup),
      version,
    });
    return fixture.admin.publish(table, {});
  };
  const ask = async (account: string): Promise<string> =>
    (await request(fixture.url, { headers: { 'x-account': account } })).body.text();

  it('routes by the value in a CSV file', async () => {
    await writeFile(join(folder, 'ages.csv'), '# account,age\n4711,29\n"4712", "61"\n\n');
    await publish('ages.csv');
    expect([await ask('4711'), await ask('4712'), await ask('4713')]).toEqual(['new', 'old', 'old']);
  });

  it('routes by the value in a JSON object', async () => {
    await writeFile(join(folder, 'ages.json'), '{"4711": 29, "4712": "61"}');
    await publish('ages.json');
    expect([await ask('4711'), await ask('4712')]).toEqual(['new', 'old']);
  });

  it('takes up a file that was replaced, and keeps the old values where the new file is broken', async () => {
    await writeFile(join(folder, 'ages.csv'), '4711,61\n');
    await publish('ages.csv');
    expect(await ask('4711')).toBe('old');
    await writeFile(join(folder, 'ages.tmp'), '4711,29\n');
    await rename(join(folder, 'ages.tmp'), join(folder, 'ages.csv'));
    await until(async () => (await ask('4711')) === 'new');
    await writeFile(join(folder, 'ages.csv'), 'this is not of the form\n');
    await writeFile(join(folder, 'ages.csv'), '');
    await publish('ages.csv', 2);
    expect(await ask('4711')).toBe('new');
  });

  it('is refused where the file is missing, or lies outside of the folder', async () => {
    await expect(publish('ages.csv')).rejects.toMatchObject({ code: 'InvalidRequest' });
    await expect(publish('../ages.csv')).rejects.toThrow(/outside of/);
    await expect(publish('/etc/passwd')).rejects.toThrow(/outside of/);
    await symlink('/etc/passwd', join(folder, 'link.csv'));
    await expect(publish('link.csv')).rejects.toThrow(/outside of/);
    expect((await fixture.admin.executing({})).version).toBe(0);
  });
});
