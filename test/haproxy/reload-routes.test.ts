import { readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import { serverOf, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const POLICY: PlanInput['traffic']['policy'] = {
  kind: 'range',
  rules: [
    { below: 35, to: '2.0-a' },
    { from: 35, to: '2.0-b' },
  ],
};
/** By a number that a file has for each account. */
const BY_AGE: TrafficSplit = {
  key: { from: 'header', name: 'x-account', lookup: 'ages.csv' },
  policy: POLICY,
  withoutKey: '1.0',
  baseline: '1.0',
  share: 1,
  salt: 's',
  pulled: [],
};
/** Entries of a map that takes HAProxy a good part of a second to load. */
const MANY = 200_000;

async function answeredBy(url: string, account?: string): Promise<string> {
  const headers = account === undefined ? {} : { 'x-account': account };
  const { body } = await request(url, { headers });
  return body.text();
}

/** Whether the process has the file open just now; where the system does not tell (other than Linux), yes. */
async function hasOpen(pid: number | undefined, file: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const paths = await Promise.all(
    descriptors.map((one) => readlink(`/proc/${pid}/fd/${one}`).catch(() => '')),
  );
  return paths.some((path) => path.endsWith(`/${file}`));
}

/** One server for each release. */
async function shop() {
  const servers = await Promise.all(['one', 'two', 'three'].map((name) => new UpstreamServer(name).listen()));
  const plan = planFor(servers, { traffic: { key: BY_AGE.key, policy: POLICY } });
  const fixture = await HaproxyFixture.start(plan, { upstreams: servers });
  const releases = ['1.0', '2.0-a', '2.0-b'];
  const all = servers.map((server, index) => serverOf(server, { release: releases[index] ?? '' }));
  return {
    fixture,
    table: tableOf(all, { measure: plan.measure }),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

describe('Routes and reloads of HAProxy', () => {
  it('stay as new as they were acknowledged where a reload has read older files (invariants 2 and 4)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    await fixture.admin.publish(table, {});
    await writeFile(
      join(fixture.folder, 'lookup.map'),
      Array.from({ length: MANY }, (_, index) => `${index} 1\n`).join(''),
    );
    const before = await fixture.process();
    const reloading = fixture.haproxy.reload();
    // The routes are what it reads first.
    await until(() => hasOpen(fixture.haproxy.pid, 'lookup.map'), 'the master reads its last map');
    await fixture.admin.publish({ ...table, version: 2, mainRelease: '2.0-a' }, {});
    // From the acknowledgement on, nothing goes where the routes of before lead.
    const answers = new Map<string, number>();
    let left = 50;
    await until(async () => {
      const by = await answeredBy(fixture.url);
      answers.set(by, (answers.get(by) ?? 0) + 1);
      if ((await fixture.process()) !== before) left -= 1;
      return left === 0;
    }, 'the new process has answered');
    await reloading;
    expect([...answers.keys()]).toEqual(['two']);
    expect((await fixture.admin.stats({})).tableVersion).toBe(2);
  });

  it('send each key of a lookup file where they did before, also what came into it later (invariants 4 and 7)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await shop();
    const { fixture, table } = all;
    const file = join(fixture.folder, 'ages.csv');
    const ages = new Map(Array.from({ length: 60 }, (_, index) => [`a ${index};é`, `${index}`]));
    const write = () => writeFile(file, [...ages].map(([key, age]) => `${key},${age}\n`).join(''));
    await write();
    await fixture.admin.publish({ ...table, split: BY_AGE }, {});
    // Headers travel as octets: é is two of them.
    const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    const places = async (): Promise<Record<string, string>> => {
      const found: Record<string, string> = { nobody: await answeredBy(fixture.url, 'nobody') };
      for (const key of ages.keys()) found[key] = await answeredBy(fixture.url, octets(key));
      return found;
    };
    const expected = (): Record<string, string> => ({
      nobody: 'one',
      ...Object.fromEntries([...ages].map(([key, age]) => [key, Number(age) < 35 ? 'two' : 'three'])),
    });
    expect(await places()).toEqual(expected());
    await fixture.reloaded();
    expect(await places()).toEqual(expected());
    ages.set('late', '20').set('a 1;é', '90');
    await write();
    await until(async () => (await answeredBy(fixture.url, 'late')) === 'two', 'the file is taken over');
    await fixture.reloaded();
    expect(await places()).toEqual(expected());
    await fixture.admin.publish(
      { ...table, version: 2, split: { ...BY_AGE, withoutKey: '2.0-b', pulled: ['2.0-a'] } },
      {},
    );
    await fixture.reloaded();
    const pulled = await places();
    expect(new Set(Object.values(pulled))).toEqual(new Set(['one', 'three']));
    expect(pulled).toMatchObject({ nobody: 'three', late: 'one', 'a 1;é': 'three' });
    expect((await fixture.admin.stats({})).tableVersion).toBe(2);
  });
});
