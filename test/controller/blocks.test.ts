import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { beginRule } from '../../src/domain/decision/rule.ts';
import { readBlocks } from '../../src/domain/decision/rule-reading.ts';
import { effectGrid, type AnytimeSpec } from '../../src/domain/decision/rule-spec.ts';
import type { TrafficSplit } from '../../src/domain/routes/table.ts';
import { callControl } from '../../src/protocol/control-client.ts';
import type { GatewayUnits } from '../../src/protocol/gateway.ts';
import { z } from 'zod';
import { definitionWith, makeStateDir, split, startController, trial } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const eventually = { timeout: 15_000, interval: 10 };
const hashed: TrafficSplit = {
  ...split,
  policy: { kind: 'hash', salt: 's', weights: { '2.0-a': 1, '2.0-b': 1 } },
  share: 0.5,
  counting: { unit: 'account', control: true, timeoutMs: 1000, windowMs: 0 },
};
type Row = [version: number, release: string, n: number, sum: number, group?: string];

function unitsOf(rows: readonly Row[], more: Partial<GatewayUnits> = {}): GatewayUnits {
  const counts = rows.map(([tableVersion, release, n, sum, group = 'all']) => ({
    ...{ tableVersion, release, group, n, sum, squares: sum, uncapped: sum * 10 },
  }));
  return { trial: 'trial', counts, pending: 0, beyond: 0, ...more };
}

/** Two gateways in a trial, whose table has version 3; the lock has version 2. */
async function startTrial(trialSplit: TrafficSplit = hashed) {
  const dir = await makeStateDir();
  const one = await startStubGateway('gw-1');
  const two = await startStubGateway('gw-2');
  const open = () => startController({ stateDir: dir.path });
  let controller = await open();
  const gateways = [one.address, two.address];
  await controller.client.adopt(service, definitionWith(gateways));
  const { fence } = await controller.client.acquire(service, { upgradeId: 'u1', gateways });
  await controller.client.activate(service, {
    ...{ fence, step: 1 },
    transitions: [trial[0], trial[1], { kind: 'split', split: trialSplit }],
  });
  await controller.client.publish(service);
  const blocks = (after = 0, id = 'trial') => controller.client.blocks(service, { trial: id, after });
  return {
    one,
    two,
    fence,
    path: join(dir.path, 'shop.blocks.jsonl'),
    blocks,
    get url() {
      return controller.url;
    },
    get client() {
      return controller.client;
    },
    close: () => controller.close(),
    open: async () => (controller = await open()),
    async restart() {
      await controller.close();
      controller = await open();
    },
    async [Symbol.asyncDispose]() {
      await controller.close();
      await Promise.all([one.stop(), two.stop()]);
      await dir[Symbol.asyncDispose]();
    },
  };
}

const counted = (n: number, sum: number) => ({ n, sum, squares: sum, uncapped: sum * 10 });

describe('blocks of a trial', () => {
  it('are what all gateways counted since the block before, with the shares that were asked for', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([
      [3, '2.0-a', 10, 4],
      [3, '1.4', 40, 10],
    ]);
    up.two.units = unitsOf([[3, '2.0-a', 5, 5]], { pending: 7, beyond: 2 });
    const { blocks, ...rest } = await up.blocks();
    expect(rest).toEqual({ trial: 'trial', unread: [], pending: 7, beyond: 2 });
    const epochs = { 'gw-1': up.one.stats().epoch, 'gw-2': up.two.stats().epoch };
    const [first] = blocks;
    expect(blocks).toEqual([
      {
        number: 1,
        fromMs: 0,
        toMs: expect.any(Number),
        tableVersion: 3,
        epochs,
        shares: { '2.0-a': 0.25, '2.0-b': 0.25, '1.4': 0.5 },
        groups: { all: { '2.0-a': counted(15, 9), '1.4': counted(40, 10) } },
      },
    ]);
    up.one.units = unitsOf([
      [3, '2.0-a', 11, 4],
      [3, '1.4', 40, 10],
      [3, '2.0-b', 3, 3, 'young'],
    ]);
    const second = await up.blocks(1);
    expect(second.blocks).toMatchObject([
      { number: 2, fromMs: first?.toMs, groups: { all: { '2.0-a': { n: 1, sum: 0 } }, young: {} } },
    ]);
    expect(Object.keys(second.blocks[0]?.groups['all'] ?? {})).toEqual(['2.0-a']);
    expect(second.blocks[0]?.epochs).toEqual({ 'gw-1': epochs['gw-1'] });
  });

  it('hold accounts that never entered, though nobody else was counted; where a gateway cannot tell them, nobody can', async () => {
    await using up = await startTrial();
    const { counts, ...rest } = unitsOf([[3, '2.0-a', 10, 4]]);
    const turnedAway = { tableVersion: 3, release: '2.0-b', group: 'all', n: 0, sum: 0, squares: 0 };
    const told = counts.map((row) => ({ ...row, passed: 0 }));
    up.one.units = { ...rest, counts: [...told, { ...turnedAway, uncapped: 0, passed: 7 }] };
    const first = await up.blocks();
    expect(first.blocks).toMatchObject([
      { groups: { all: { '2.0-a': { n: 10, passed: 0 }, '2.0-b': { n: 0, passed: 7 } } } },
    ]);
    up.one.units = { ...rest, counts: [...told, { ...turnedAway, uncapped: 0, passed: 9 }] };
    up.two.units = unitsOf([[3, '2.0-b', 5, 5]]);
    const [second] = (await up.blocks(1)).blocks;
    expect(second?.groups['all']?.['2.0-b']).toEqual(counted(5, 5));
    await up.restart();
    up.one.units = { ...rest, counts: [...told, { ...turnedAway, uncapped: 0, passed: 12 }] };
    expect((await up.blocks(2)).blocks).toMatchObject([
      { groups: { all: { '2.0-b': { n: 0, passed: 3 } } } },
    ]);
  });

  it('hold the shares of each group where groups are dealt at random', async () => {
    const policy = {
      kind: 'range',
      rules: [
        { below: 35, to: { '2.0-a': 1, '2.0-b': 1 } },
        { from: 35, to: { '2.0-a': 1, '2.0-b': 3 } },
      ],
    } as const;
    await using up = await startTrial({ ...hashed, policy });
    up.one.units = unitsOf([
      [3, '2.0-a', 10, 4, 'range:..35'],
      [3, '2.0-a', 5, 1, 'range:35..'],
    ]);
    await up.blocks();
    // As they are read from the disk.
    await up.restart();
    const { blocks } = await up.blocks();
    expect(blocks).toMatchObject([
      {
        sharesByGroup: {
          'range:..35': { '2.0-a': 0.25, '2.0-b': 0.25, '1.4': 0.5 },
          'range:35..': { '2.0-a': 0.125, '2.0-b': 0.375, '1.4': 0.5 },
        },
        groups: {
          'range:..35': { '2.0-a': counted(10, 4) },
          'range:35..': { '2.0-a': counted(5, 1) },
        },
      },
    ]);
    expect(blocks[0]).not.toHaveProperty('shares');
  });

  it('are the same when asked for again, by several at once, and after a restart (invariant 9)', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    const answers = await Promise.all([up.blocks(), up.blocks(), up.blocks()]);
    expect(answers.map(({ blocks }) => blocks.length)).toEqual([1, 1, 1]);
    up.one.units = unitsOf([[3, '2.0-a', 12, 5]]);
    const both = await up.blocks();
    expect(both.blocks).toMatchObject([{ number: 1 }, { number: 2 }]);
    await up.restart();
    expect(await up.blocks()).toEqual(both);
    expect((await up.blocks(1)).blocks).toEqual(both.blocks.slice(1));
    expect((await up.blocks(2)).blocks).toEqual([]);
  });

  it('are two where rows of two tables grew, the older first, each with its own shares', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.client.activate(service, {
      ...{ fence: up.fence, step: 2 },
      transitions: [{ kind: 'share', share: 1 }],
    });
    up.two.units = unitsOf([
      [4, '2.0-b', 6, 6],
      [3, '2.0-b', 1, 1],
    ]);
    const { blocks } = await up.blocks();
    expect(blocks).toMatchObject([
      { number: 1, tableVersion: 3, groups: { all: { '2.0-a': { n: 10 }, '2.0-b': { n: 1 } } } },
      {
        number: 2,
        tableVersion: 4,
        shares: { '2.0-a': 0.5, '2.0-b': 0.5 },
        groups: { all: { '2.0-b': { n: 6 } } },
      },
    ]);
    expect(blocks[0]?.shares).toMatchObject({ '1.4': 0.5 });
  });

  it('are two where a gateway began to count anew, and nothing is negative', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    up.two.units = unitsOf([[3, '2.0-a', 3, 3]]);
    const { blocks: before } = await up.blocks();
    up.one.units = unitsOf([[3, '2.0-a', 15, 6]]);
    await vi.waitFor(async () => expect((await up.client.traffic(service)).unread).toEqual([]), eventually);
    await up.one.restart();
    up.one.units = unitsOf([[3, '2.0-a', 2, 1]]);
    up.two.units = unitsOf([[3, '2.0-a', 4, 4]]);
    const { blocks } = await up.blocks(before.length);
    expect(blocks.length).toBeGreaterThan(1);
    // Of the epoch before 5, of the new one 2, of the other gateway 1.
    expect(blocks.reduce((sum, { groups }) => sum + (groups['all']?.['2.0-a']?.n ?? 0), 0)).toBe(8);
    const epochs = blocks.map((block) => block.epochs?.['gw-1']);
    expect(new Set(epochs).size).toBe(epochs.length);
  });

  it('are closed without being asked for where a gateway begins to count anew', async () => {
    await using up = await startTrial();
    await up.blocks();
    for (let start = 1; start <= 6; start++) {
      up.one.units = unitsOf([[3, '2.0-a', start, 0]]);
      await up.client.traffic(service);
      await up.one.restart();
      const lines = async () => (await readFile(up.path, 'utf8')).trimEnd().split('\n').length;
      await vi.waitFor(async () => expect(await lines()).toBe(1 + start), eventually);
    }
    const { blocks } = await up.blocks();
    expect(blocks.reduce((sum, { groups }) => sum + (groups['all']?.['2.0-a']?.n ?? 0), 0)).toBe(21);
  });

  it('contain what gateways say by themselves that cannot be read', async () => {
    await using up = await startTrial();
    up.two.units = unitsOf([[3, '2.0-b', 9, 3]], { pending: 1 });
    const stats = up.two.stats();
    await up.two.stop();
    expect(await up.blocks()).toMatchObject({ blocks: [], unread: ['gw-2'] });
    await callControl({
      ...{
        baseUrl: up.url,
        method: 'POST',
        path: `/v1/services/${service}/gateways/gw-2/stats`,
        body: stats,
      },
      ...{
        answer: z.undefined(),
        timeoutMs: 5_000,
        peer: 'controller',
        unreachable: 'ControllerUnreachable',
      },
    });
    expect(await up.blocks()).toMatchObject({
      blocks: [{ groups: { all: { '2.0-b': { n: 9, sum: 3 } } } }],
      unread: [],
      pending: 1,
    });
  });

  it('leave counters out that cannot be, and name the gateway, until they can', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    up.two.units = unitsOf([[3, '2.0-a', 1, 1]]);
    await up.blocks();
    up.one.units = unitsOf([[3, '2.0-a', 12, 3]]);
    up.two.units = unitsOf([[3, '2.0-a', 2, 1]]);
    expect(await up.blocks(1)).toMatchObject({
      blocks: [{ groups: { all: { '2.0-a': { n: 1 } } } }],
      unread: ['gw-1'],
    });
    up.one.units = unitsOf([[3, '2.0-a', 13, 6]]);
    expect(await up.blocks(2)).toMatchObject({
      blocks: [{ groups: { all: { '2.0-a': { n: 3, sum: 2 } } } }],
      unread: [],
    });
  });

  it('are none of a trial that was never in force; another trial begins anew', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.blocks();
    expect(await up.blocks(0, 'another')).toMatchObject({ trial: 'another', blocks: [] });
    expect((await up.blocks()).blocks).toHaveLength(1);
    await up.client.activate(service, {
      ...{ fence: up.fence, step: 2 },
      transitions: [{ kind: 'split', split: { ...hashed, salt: 'another' } }],
    });
    up.one.units = unitsOf([[4, '2.0-a', 2, 1]], { trial: 'another' });
    expect(await up.blocks(0, 'another')).toMatchObject({ blocks: [{ number: 1, fromMs: 0 }] });
    expect((await up.blocks()).blocks).toEqual([]);
  });

  it('are kept when the trial is over, the last ones too', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.blocks();
    await up.client.activate(service, {
      ...{ fence: up.fence, step: 2 },
      transitions: [{ kind: 'main', release: '1.4' }],
    });
    up.one.units = unitsOf([[3, '2.0-a', 11, 4]]);
    expect((await up.blocks(1)).blocks).toMatchObject([{ number: 2, shares: { '1.4': 0.5 } }]);
  });
});

describe('the clock of the blocks', () => {
  const anytime: AnytimeSpec = {
    rule: 'anytime',
    arms: [
      { version: '2.0-a', role: 'candidate' },
      { version: '2.0-b', role: 'candidate' },
    ],
    ...{ volume: 'successes', comparison: 'random', unit: 'account', delta: 0.05, epsilon: 0.01 },
    ...{ grid: effectGrid(0.01, 0.1), expectedRate: 0.1 },
  };

  /** A trial that lasted some time before it is read; `lengthMs` is what its own clock shows at the end, or less. */
  async function readAtEnd(up: Awaited<ReturnType<typeof startTrial>>) {
    const { activeSince = '' } = await up.client.status(service);
    await up.restart();
    up.one.units = unitsOf([
      [3, '2.0-a', 1000, 200],
      [3, '2.0-b', 1000, 100],
    ]);
    const lengthMs = Date.now() - Date.parse(activeSince);
    return { lengthMs, blocks: (await up.blocks()).blocks };
  }

  it('starts with the routes of the trial, also where another table is in effect when it is read', async () => {
    await using up = await startTrial();
    const { activeSince = '' } = await up.client.status(service);
    await up.restart();
    const before = Date.now();
    await up.client.activate(service, {
      ...{ fence: up.fence, step: 2 },
      transitions: [{ kind: 'share', share: 1 }],
    });
    up.one.units = unitsOf([[4, '2.0-b', 6, 6]]);
    const [first] = (await up.blocks()).blocks;
    expect(first?.fromMs).toBe(0);
    expect(first?.toMs).toBeGreaterThanOrEqual(before - Date.parse(activeSince));
  });

  it.each(['minDurationMs', 'everyFullMs'] as const)(
    'lets a trial decide whose %s ends with it',
    async (field) => {
      await using up = await startTrial();
      const { lengthMs, blocks } = await readAtEnd(up);
      const spec = { ...anytime, [field]: lengthMs };
      const { verdict } = readBlocks(
        spec,
        { state: beginRule(spec), after: 0 },
        { blocks, pulled: {}, isOver: true },
      );
      expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
    },
  );
});

describe('the file of blocks', () => {
  it('that was cut off in the writing loses nothing and doubles nothing', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.blocks();
    const whole = await readFile(up.path);
    up.one.units = unitsOf([[3, '2.0-a', 17, 5]]);
    await up.blocks();
    const both = await readFile(up.path);
    await up.close();
    for (const length of [whole.length, whole.length + 1, whole.length + 40, both.length - 1]) {
      await writeFile(up.path, both.subarray(0, length));
      await up.open();
      expect((await up.blocks()).blocks.map(({ groups }) => groups['all']?.['2.0-a']?.n)).toEqual([10, 7]);
      await up.close();
      const { length: written } = await readFile(up.path);
      expect(Math.abs(written - both.length)).toBeLessThan(10);
    }
  });

  it('that is older than what was answered is said', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.blocks();
    await expect(up.blocks(2)).rejects.toMatchObject({ code: 'InvalidRequest', retryable: false });
  });

  it('is refused where it is damaged elsewhere', async () => {
    await using up = await startTrial();
    up.one.units = unitsOf([[3, '2.0-a', 10, 4]]);
    await up.blocks();
    await up.close();
    const text = await readFile(up.path, 'utf8');
    await writeFile(up.path, text.replace('"blocks"', '"blocs"'));
    await appendFile(up.path, text.split('\n')[1] ?? '');
    await appendFile(up.path, '\n');
    await expect(up.open()).rejects.toThrow('line 2 of the blocks');
    await writeFile(up.path, text);
    await up.open();
  });
});
