import { appendFile, cp, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { compileStage } from '../../src/domain/policy/route-key.ts';
import type { RouteServer, RouteTable, TrafficSplit, TrialCounting } from '../../src/domain/routes/table.ts';
import type { GatewayConfigInput } from '../../src/gateway/config.ts';
import type { GatewayUnits } from '../../src/protocol/gateway.ts';
import { GatewayFixture, serverOf, tableOf, until } from './support/gateway-fixture.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

const BY_REQUEST: TrialCounting = { unit: 'request', control: true, timeoutMs: 60_000, windowMs: 0 };
const BY_ACCOUNT: TrialCounting = { unit: 'account', control: true, timeoutMs: 60_000, windowMs: 50 };

function splitOf(counting: TrialCounting, changes: Partial<TrafficSplit> = {}): TrafficSplit {
  return {
    key: { from: 'header', name: 'x-account' },
    policy: {
      kind: 'tail',
      rules: [
        { tail: [1, 2, 3], to: '2.0-a' },
        { tail: [4, 5, 6], to: '2.0-b' },
      ],
      otherwise: '1.0',
    },
    withoutKey: '1.0',
    baseline: '1.0',
    share: 1,
    salt: 'trial-1',
    pulled: [],
    counting,
    ...changes,
  };
}

/** Servers of the baseline and two candidates, behind a gateway that counts. */
async function trial(
  split: TrafficSplit,
  options: {
    a?: RequestListener;
    changes?: Partial<RouteTable>;
    others?: readonly RouteServer[];
    config?: Partial<GatewayConfigInput>;
  } = {},
) {
  const base = await new UpstreamServer('base').listen();
  const a = await new UpstreamServer('a', options.a).listen();
  const b = await new UpstreamServer('b', (_req, res) => answer(res, 500, 'b')).listen();
  const servers = [
    serverOf(base),
    serverOf(a, { release: '2.0-a', cluster: 'a' }),
    serverOf(b, { release: '2.0-b', cluster: 'b' }),
    ...(options.others ?? []),
  ];
  const table = tableOf(servers, { split, ...options.changes });
  const fixture = await GatewayFixture.start(table, {
    upstreams: [base, a, b],
    ...(options.config === undefined ? {} : { config: options.config }),
  });
  return { fixture, table, a };
}

async function ask(fixture: GatewayFixture, account: string | null): Promise<string> {
  const response = await request(fixture.url, { headers: account === null ? {} : { 'x-account': account } });
  return response.body.text();
}

async function unitsOf(fixture: GatewayFixture): Promise<GatewayUnits> {
  const { units } = await fixture.admin.stats({});
  if (units === undefined) throw new Error('nothing is counted by unit');
  return units;
}

/** Release → [n, sum], once nothing is pending. */
async function settled(fixture: GatewayFixture): Promise<Record<string, [number, number]>> {
  await until(async () => (await unitsOf(fixture)).pending === 0, 'the end of all units');
  const { counts } = await unitsOf(fixture);
  return Object.fromEntries(counts.map(({ release, n, sum }) => [release, [n, sum]]));
}

describe('requests that a gateway counts for the decision', () => {
  it('come with slow successes and quick failures at once', async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const { fixture, a } = await trial(splitOf(BY_REQUEST), {
      a: (_req, res) => void released.then(() => answer(res, 200, 'slow')),
    });
    await using _ = fixture;
    const slow = ask(fixture, '1');
    await until(() => a.requests.length === 1);
    for (let i = 0; i < 3; i += 1) await ask(fixture, '4');
    expect(await unitsOf(fixture)).toMatchObject({ trial: 'trial-1', counts: [], pending: 4 });
    release();
    await slow;
    expect(await settled(fixture)).toEqual({ '2.0-a': [1, 1], '2.0-b': [3, 0] });
  });

  it('are those that the policy allotted and the plan counts, on the release to which it sent them', async () => {
    const { fixture } = await trial(
      splitOf(BY_REQUEST, { pulled: ['2.0-b'], policy: tails({ '2.0-c': [7], '1.0': [9] }) }),
      {
        changes: {
          measure: {
            allocated: { path: '/' },
            volume: { kind: 'successes', match: { status: '2xx' } },
            slowMs: 1_000,
          },
        },
      },
    );
    await using _ = fixture;
    // No key, pulled, without a server, and not counted by the plan.
    for (const account of [null, 'no digit', '4', '7']) await ask(fixture, account);
    await (await request(`${fixture.url}/other`, { headers: { 'x-account': '1' } })).body.dump();
    for (const account of ['1', '9']) await ask(fixture, account);
    expect(await settled(fixture)).toEqual({ '2.0-a': [1, 1], '1.0': [1, 1] });
  });

  it('are not those on the baseline where it is no control arm', async () => {
    const { fixture } = await trial(splitOf({ ...BY_REQUEST, control: false }));
    await using _ = fixture;
    for (const account of ['1', '9']) await ask(fixture, account);
    expect(await settled(fixture)).toEqual({ '2.0-a': [1, 1] });
  });

  it('count once, whatever servers of their release were tried; moved to another release they do not', async () => {
    const gone = (name: string, release: string) =>
      serverOf({ name, url: 'http://127.0.0.1:1' }, { cluster: 'a', release });
    const { fixture } = await trial(splitOf(BY_REQUEST, { policy: tails({ '2.0-c': [7] }) }), {
      others: [gone('a-gone', '2.0-a'), gone('c-gone', '2.0-c')],
    });
    await using _ = fixture;
    for (let i = 0; i < 4; i += 1) expect(await ask(fixture, '1')).toBe('a');
    expect(await ask(fixture, '7')).toBe('base');
    expect(await settled(fixture)).toEqual({ '2.0-a': [4, 4] });
  });

  it('are not reported where the table asks for none', async () => {
    const { counting: _, ...split } = splitOf(BY_REQUEST);
    const { fixture } = await trial(split);
    await using _fixture = fixture;
    await ask(fixture, '1');
    expect((await fixture.admin.stats({})).units).toBeUndefined();
  });
});

describe('accounts that a gateway counts for the decision', () => {
  it('enter once, also over a restart of the gateway, and anew in another trial', async () => {
    const { fixture, table } = await trial(splitOf(BY_ACCOUNT));
    await using _ = fixture;
    for (const account of ['1', '1', '2', '4']) await ask(fixture, account);
    expect(await settled(fixture)).toEqual({ '2.0-a': [2, 2], '2.0-b': [1, 0] });
    await fixture.gateway.close();
    // As a gateway leaves it that is killed while it writes.
    await appendFile(join(fixture.folder, 'accounts.bin'), 'cut');
    await using again = await GatewayFixture.start(null, { folder: fixture.folder });
    for (const account of ['1', '2', '3', '4']) await ask(again, account);
    expect(await settled(again)).toEqual({ '2.0-a': [1, 1] });
    await again.gateway.close();
    await using third = await GatewayFixture.start(null, { folder: fixture.folder });
    for (const account of ['1', '3', '4', '5']) await ask(third, account);
    expect(await settled(third)).toEqual({ '2.0-b': [1, 0] });
    const next = { ...table, version: 2, split: splitOf(BY_ACCOUNT, { salt: 'trial-2' }) };
    await third.admin.publish(next, {});
    for (const account of ['1', '4']) await ask(third, account);
    expect(await settled(third)).toEqual({ '2.0-a': [1, 1], '2.0-b': [1, 0] });
    await third.gateway.close();
    const header = (await readFile(join(fixture.folder, 'accounts.bin'))).indexOf('\n') + 1;
    expect((await stat(join(fixture.folder, 'accounts.bin'))).size).toBe(header + 2 * 8);
  });

  it('are on the disk before they are reported, so that a gateway that is killed counts none twice', async () => {
    const { fixture } = await trial(splitOf(BY_ACCOUNT));
    await using _ = fixture;
    for (let i = 0; i < 50; i += 1) await ask(fixture, `${i}1`);
    await until(async () => ((await unitsOf(fixture)).counts[0]?.n ?? 0) > 0, 'the first accounts counted');
    const reported = (await unitsOf(fixture)).counts[0]?.n ?? 0;
    // The disk as it is while the gateway runs.
    const folder = await mkdtemp(join(tmpdir(), 'gateway-'));
    for (const file of ['routes.json', 'accounts.bin'])
      await cp(join(fixture.folder, file), join(folder, file));
    await using again = await GatewayFixture.start(null, { folder });
    for (let i = 0; i < 50; i += 1) await ask(again, `${i}1`);
    const counted = (await settled(again))['2.0-a']?.[0] ?? 0;
    expect(counted + reported).toBeLessThanOrEqual(50);
  });

  it('enter anew where what is on the disk is damaged', async () => {
    const { fixture } = await trial(splitOf(BY_ACCOUNT));
    await using _ = fixture;
    await ask(fixture, '1');
    expect(await settled(fixture)).toEqual({ '2.0-a': [1, 1] });
    await fixture.gateway.close();
    await writeFile(join(fixture.folder, 'accounts.bin'), 'neither a header nor hashes');
    await using again = await GatewayFixture.start(null, { folder: fixture.folder });
    await ask(again, '1');
    expect(await settled(again)).toEqual({ '2.0-a': [1, 1] });
  });

  it('that met another release first, in place of theirs, enter never: they would come back as another kind', async () => {
    const gone = serverOf({ name: 'c', url: 'http://127.0.0.1:1' }, { cluster: 'c', release: '2.0-c' });
    const split = splitOf(BY_ACCOUNT, { policy: tails({ '2.0-c': [7] }) });
    const { fixture, table, a } = await trial(split, { others: [gone] });
    await using _ = fixture;
    expect(await ask(fixture, '7')).toBe('base');
    // They were dealt there all the same, and the split is right with them.
    const ofC = async () => (await unitsOf(fixture)).counts.find(({ release }) => release === '2.0-c');
    await until(async () => (await ofC())?.passed === 1, 'the account that was turned away');
    expect(await ofC()).toMatchObject({ n: 0, sum: 0 });
    const servers = table.servers.map((server) => (server.name === 'c' ? { ...server, url: a.url } : server));
    await fixture.admin.publish({ ...table, version: 2, servers }, {});
    expect(await ask(fixture, '7')).toBe('a');
    expect(await ask(fixture, '17')).toBe('a');
    await until(async () => (await unitsOf(fixture)).counts.some(({ tableVersion }) => tableVersion === 2));
    expect(await settled(fixture)).toEqual({ '2.0-c': [1, 1] });
    expect((await unitsOf(fixture)).counts.map(({ passed }) => passed)).toEqual([1, 0]);
  });

  it('of a version that is pulled enter with no other one later; what a stage held back may, without control arm', async () => {
    const split = splitOf({ ...BY_ACCOUNT, control: false }, { share: 0.5, pulled: ['2.0-a'] });
    const { fixture, table } = await trial(split);
    await using _ = fixture;
    const isBehind = compileStage(split);
    const held = ['11', '31', '51', '71', '91'].find(isBehind);
    const open = ['11', '31', '51', '71', '91'].find((account) => !isBehind(account));
    for (const account of [held, open]) expect(await ask(fixture, account ?? '')).toBe('base');
    await fixture.admin.publish({ ...table, version: 2, split: { ...split, share: 1, pulled: [] } }, {});
    for (const account of [held, open]) expect(await ask(fixture, account ?? '')).toBe('a');
    expect(await settled(fixture)).toEqual({ '2.0-a': [1, 1] });
  });

  it('are known to a sidecar by the key that an edge wrote', async () => {
    const { fixture } = await trial(splitOf(BY_ACCOUNT), { config: { role: 'sidecar' } });
    await using _ = fixture;
    for (const account of ['1', '1', '2']) {
      const response = await request(fixture.url, { headers: { baggage: `changeover.key=${account}` } });
      expect(await response.body.text()).toBe('a');
    }
    expect(await settled(fixture)).toEqual({ '2.0-a': [2, 2] });
  });

  it('are what their keys are looked up to, where the policy splits by that', async () => {
    const { fixture, table } = await trial(splitOf(BY_ACCOUNT));
    await using _ = fixture;
    await fixture.gateway.close();
    await writeFile(join(fixture.folder, 'cards.csv'), 'card-a,1\ncard-b,1\ncard-c,2\n');
    await using again = await GatewayFixture.start(
      {
        ...table,
        version: 2,
        split: splitOf(BY_ACCOUNT, { key: { from: 'header', name: 'x-account', lookup: 'cards.csv' } }),
      },
      { folder: fixture.folder, config: { lookupDir: fixture.folder } },
    );
    for (const card of ['card-a', 'card-b', 'card-c']) expect(await ask(again, card)).toBe('a');
    expect(await settled(again)).toEqual({ '2.0-a': [2, 2] });
  });
});

/** The tails of `splitOf`, and some more. */
function tails(more: Readonly<Record<string, readonly number[]>>): TrafficSplit['policy'] {
  return {
    kind: 'tail',
    rules: [
      { tail: [1, 2, 3], to: '2.0-a' },
      { tail: [4, 5, 6], to: '2.0-b' },
      ...Object.entries(more).map(([to, tail]) => ({ tail, to })),
    ],
  };
}
