import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createAgentOverHttp } from '../../src/adapters/agent-over-http.ts';
import type { UpgradeParams } from '../../src/domain/upgrade-params.ts';
import { UPGRADE_STEPS } from '../../src/protocol/agent.ts';
import { createServerFixture, type ServerFixture } from './server-fixture.ts';

const loader = fileURLToPath(new URL('./typescript.mjs', import.meta.url));
const script = fileURLToPath(new URL('./agent-process.ts', import.meta.url));

/** Starts an agent that dies at `killAt`, pushes an upgrade to it, and returns once it is dead. */
async function upgradeUntilKilled(
  server: ServerFixture,
  upgrade: { params: UpgradeParams; killAt: string },
): Promise<void> {
  const configPath = join(server.dir, 'agent.json');
  await writeFile(configPath, JSON.stringify(server.configInput()));
  const child = spawn(process.execPath, ['--import', loader, script, configPath], {
    env: { ...process.env, KILL_AT: upgrade.killAt },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const url = await firstLine(child);
  // It may die before it has answered.
  await createAgentOverHttp()
    .upgrade(
      { server: 'web-1', agent: url },
      { key: 'killed', fence: 1, service: 'wealth', params: upgrade.params },
    )
    .catch(() => undefined);
  await exited;
  expect(child.signalCode).toBe('SIGKILL');
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('the agent did not start');
}

/** The next agent ends the upgrade by itself: each version was started once, one runs, and nothing else is left. */
async function expectFinished(server: ServerFixture): Promise<void> {
  await using agent = await server.agent();
  const status = await agent.settled('killed');
  expect(status).toMatchObject({ runningVersion: '2.0-a', healthy: true, upgrade: { state: 'done' } });
  expect(await server.violations()).toEqual([]);
  expect(await server.starts()).toEqual(['1.4', '2.0-a']);
  expect(await server.livePids()).toHaveLength(1);
  expect(await leftovers(server)).toEqual([]);
}

async function leftovers(server: ServerFixture): Promise<string[]> {
  return (await readdir(join(server.dir, 'install/releases'))).filter((name) => name.startsWith('.'));
}

const points = [
  ...UPGRADE_STEPS,
  'unpacking:unpacked',
  'stopping:done',
  'switching:done',
  'starting:spawned',
  'starting:done',
  'waitingForHealth:done',
];

describe('an agent that was killed (-9) goes on by itself when it starts again', () => {
  it.each(points)('killed at %s', { timeout: 60_000 }, async (killAt) => {
    await using server = await createServerFixture();
    const next = await server.pack('2.0-a');
    {
      await using agent = await server.agent(surviving(server));
      await agent.upgraded(await server.pack('1.4'), { key: 'first' });
    }
    await upgradeUntilKilled(server, { params: next, killAt });
    await expectFinished(server);
  });

  it.each(['stopping', 'stopping:done', 'starting:spawned', 'waitingForHealth'])(
    'killed at %s, with its package prepared',
    { timeout: 60_000 },
    async (killAt) => {
      await using server = await createServerFixture();
      const next = await server.pack('2.0-a');
      {
        await using agent = await server.agent(surviving(server));
        await agent.upgraded(await server.pack('1.4'), { key: 'first' });
        await agent.prepare(next);
      }
      await upgradeUntilKilled(server, { params: next, killAt });
      await expectFinished(server);
    },
  );

  it('puts the old release back, also when it was killed while doing so', { timeout: 60_000 }, async () => {
    await using server = await createServerFixture();
    {
      await using agent = await server.agent(surviving(server));
      await agent.upgraded(await server.pack('1.4'), { key: 'first' });
    }
    await upgradeUntilKilled(server, { params: await server.pack('2.0-a', 'crash'), killAt: 'restoring' });

    await using agent = await server.agent();
    const status = await agent.settled('killed');
    expect(status).toMatchObject({
      runningVersion: '1.4',
      healthy: true,
      upgrade: { state: 'failed', error: { code: 'StartFailed', details: { restored: '1.4' } } },
    });
    expect(await server.violations()).toEqual([]);
  });
});

function surviving(server: ServerFixture) {
  const { run } = server.configInput();
  if (!run) throw new Error('the fixture runs a command');
  return { run: { ...run, stopWithAgent: false } };
}
