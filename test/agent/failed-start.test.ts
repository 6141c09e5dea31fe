import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { AgentConfigInput } from '../../src/agent/config.ts';
import { createServerFixture, eventually, type ServerFixture } from './server-fixture.ts';

function withGrace(server: ServerFixture, stopGrace: string): Partial<AgentConfigInput> {
  const { run } = server.configInput();
  if (!run) throw new Error('the fixture runs a command');
  return { run: { ...run, stopGrace } };
}

describe('an agent whose software does not behave', () => {
  it('puts the old release back when the new one ends at its start, and says what it printed', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    await agent.upgraded(await server.pack('1.4'));
    const status = await agent.upgraded(await server.pack('2.0-a', 'crash'));
    expect(status).toMatchObject({
      runningVersion: '1.4',
      healthy: true,
      upgrade: {
        state: 'failed',
        step: 'waitingForHealth',
        error: {
          code: 'StartFailed',
          details: {
            lastLines: ['version 2.0-a begins', 'cannot reach the ledger'],
            exit: 'exit code 3',
            restored: '1.4',
          },
        },
      },
    });
    expect(await readlink(join(server.dir, 'install/current'))).toBe('releases/1.4');
    expect(await server.violations()).toEqual([]);
  });

  it('puts the old release back when the new one never becomes healthy', async () => {
    await using server = await createServerFixture();
    const health = { url: `http://127.0.0.1:${server.port}/health`, timeout: '700ms', interval: '50ms' };
    await using agent = await server.agent({ health });
    await agent.upgraded(await server.pack('1.4'));
    const status = await agent.upgraded(await server.pack('2.0-a', 'hang'));
    expect(status).toMatchObject({ runningVersion: '1.4', healthy: true, upgrade: { state: 'failed' } });
    expect(status.upgrade?.error).toMatchObject({
      code: 'StartFailed',
      details: { lastLines: ['version 2.0-a begins', 'waiting for something that never comes'] },
    });
    expect(await server.violations()).toEqual([]);
    expect(await server.livePids()).toHaveLength(1);
  });

  it('runs nothing after a failed first install', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    const status = await agent.upgraded(await server.pack('1.4', 'crash'));
    expect(status).toMatchObject({ runningVersion: null, healthy: false, upgrade: { state: 'failed' } });
    expect(await server.livePids()).toEqual([]);
  });

  it('says that the program of the start command does not exist', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent({ run: { command: ['./no-such-program'], stopWithAgent: true } });
    const { upgrade } = await agent.upgraded(await server.pack('1.4'));
    expect(upgrade?.error).toMatchObject({ code: 'StartFailed' });
    expect(upgrade?.error?.message).toContain('./no-such-program');
  });

  it('kills software that ignores SIGTERM, and notes it', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent(withGrace(server, '200ms'));
    await agent.upgraded(await server.pack('1.4', 'ignoreTerm'));
    const status = await agent.upgraded(await server.pack('2.0-a'));
    expect(status).toMatchObject({ runningVersion: '2.0-a', upgrade: { state: 'done' } });
    expect(status.upgrade?.notes?.join()).toContain('SIGKILL');
    expect(await server.violations()).toEqual([]);
  });

  it('starts software again that ended by itself', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent();
    await agent.upgraded(await server.pack('1.4'));
    await request(`http://127.0.0.1:${server.port}/crash`).catch(() => undefined);
    await eventually(server.starts, (starts) => starts.length === 2);
    await eventually(agent.status, ({ healthy, runningVersion }) => healthy && runningVersion === '1.4');
  });

  it('leaves the software running when it closes, and the next agent takes it over', async () => {
    await using server = await createServerFixture();
    const { run } = server.configInput();
    if (!run) throw new Error('the fixture runs a command');
    const surviving = { run: { ...run, stopWithAgent: false } };
    {
      await using agent = await server.agent(surviving);
      await agent.upgraded(await server.pack('1.4'));
    }
    const [pid] = await server.livePids();
    expect(pid).toBeDefined();
    await using agent = await server.agent();
    expect(await agent.status()).toMatchObject({ runningVersion: '1.4', healthy: true });
    await agent.upgraded(await server.pack('2.0-a'));
    expect(await server.starts()).toEqual(['1.4', '2.0-a']);
    expect(await server.livePids()).not.toContain(pid);
    expect(await server.violations()).toEqual([]);
  });

  it('stops the software with the agent where the configuration says so', async () => {
    await using server = await createServerFixture();
    {
      await using agent = await server.agent();
      await agent.upgraded(await server.pack('1.4'));
    }
    expect(await server.livePids()).toEqual([]);
  });
});
