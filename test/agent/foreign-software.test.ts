import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import { describe, expect, it } from 'vitest';
import type { UpgradeParams } from '../../src/domain/upgrade-params.ts';
import { createServerFixture, paramsOf, type ServerFixture } from './server-fixture.ts';

const hasPython = commandExists('python3');

/** A package that is nothing but a page. */
async function packPage(server: ServerFixture, version: string): Promise<UpgradeParams> {
  const folder = join(server.dir, `page-${version}`);
  await mkdir(folder);
  await writeFile(join(folder, 'index.html'), `page ${version}`);
  const fileName = `page-${version}.tgz`;
  await create({ cwd: folder, file: join(server.packages, fileName), gzip: true }, ['index.html']);
  return paramsOf(server.packages, fileName, version);
}

async function script(server: ServerFixture, name: string, lines: readonly string[]): Promise<string> {
  const path = join(server.dir, name);
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
  return path;
}

async function page(server: ServerFixture): Promise<string> {
  return (await fetch(`http://127.0.0.1:${server.port}/index.html`)).text();
}

/** Scripts that start, stop and ask for a node process by a pid file, as many an installation has them. */
async function pidFileScripts(server: ServerFixture) {
  const pidFile = join(server.dir, 'pid');
  const start = await script(server, 'start.sh', [
    `cd "${server.dir}/install/current" || exit 1`,
    `PORT=${server.port} WORLD="${server.dir}" "${process.execPath}" server.mjs &`,
    `echo $! > "${pidFile}"`,
  ]);
  const stop = await script(server, 'stop.sh', [`[ -f "${pidFile}" ] && kill "$(cat "${pidFile}")"; exit 0`]);
  const status = await script(server, 'status.sh', [
    `grep -q ' [RSD] ' "/proc/$(cat "${pidFile}")/stat" 2>/dev/null`,
  ]);
  return { start, stop, status };
}

describe('an agent upgrades software that knows nothing of it', () => {
  it.runIf(hasPython)('a ready-made web server by its command', async () => {
    await using server = await createServerFixture();
    await using agent = await server.agent({
      run: {
        command: ['python3', '-m', 'http.server', String(server.port), '--bind', '127.0.0.1'],
        stopWithAgent: true,
      },
      health: { url: `http://127.0.0.1:${server.port}/`, interval: '50ms' },
    });
    expect(await agent.upgraded(await packPage(server, '1'))).toMatchObject({ runningVersion: '1' });
    expect(await page(server)).toBe('page 1');
    expect(await agent.upgraded(await packPage(server, '2'))).toMatchObject({ runningVersion: '2' });
    expect(await page(server)).toBe('page 2');
  });

  it.each([true, false])('software with start and stop hooks (status hook: %s)', async (withStatus) => {
    await using server = await createServerFixture();
    const hooks = await pidFileScripts(server);
    const { run: _, ...config } = server.configInput({
      hooks: {
        start: [hooks.start],
        stop: [hooks.stop],
        ...(withStatus && { status: [hooks.status] }),
        timeout: '5s',
      },
      health: { url: `http://127.0.0.1:${server.port}/health`, timeout: '1s', interval: '50ms' },
    });
    await using agent = await server.agentOf(config);
    expect(await agent.status()).toMatchObject({ runningVersion: null });
    expect(await agent.upgraded(await server.pack('1.4'))).toMatchObject({ runningVersion: '1.4' });
    expect(await agent.upgraded(await server.pack('2.0-a'))).toMatchObject({ runningVersion: '2.0-a' });
    const failed = await agent.upgraded(await server.pack('2.0-b', 'crash'));
    expect(failed).toMatchObject({
      runningVersion: '2.0-a',
      healthy: true,
      upgrade: { state: 'failed', error: { code: 'StartFailed', details: { restored: '2.0-a' } } },
    });
    expect(failed.upgrade?.error?.message).toContain('cannot reach the ledger');
    expect(await server.violations()).toEqual([]);
  });

  it('does not start a second version where the stop hook did not stop the first', async () => {
    await using server = await createServerFixture();
    const hooks = await pidFileScripts(server);
    const { run: _, ...config } = server.configInput({
      hooks: { start: [hooks.start], stop: ['true'], status: [hooks.status], timeout: '300ms' },
    });
    await using agent = await server.agentOf(config);
    await agent.upgraded(await server.pack('1.4'));
    expect(await agent.upgraded(await server.pack('2.0-a'))).toMatchObject({
      runningVersion: '1.4',
      healthy: true,
      upgrade: { state: 'failed', error: { code: 'StopFailed' } },
    });
    expect(await server.starts()).toEqual(['1.4']);
  });

  it('a systemd unit', async () => {
    await using server = await createServerFixture();
    const { start, stop, status } = await pidFileScripts(server);
    // Speaks as systemctl(1) does, for one unit.
    const systemctl = await script(server, 'systemctl', [
      `echo "$@" >> "${server.dir}/calls"`,
      'case "$1" in',
      `start) "${start}" > /dev/null 2>&1 ;;`,
      `stop) "${stop}"; while "${status}"; do sleep 0.02; done ;;`,
      `show) if "${status}"; then echo ActiveState=active; echo "MainPID=$(cat "${server.dir}/pid")"; else echo ActiveState=inactive; echo MainPID=0; fi ;;`,
      'esac',
    ]);
    const { run: _, ...config } = server.configInput({ systemd: { unit: 'wealth.service' } });
    await using agent = await server.agentOf(config, { systemctl });
    expect(await agent.upgraded(await server.pack('1.4'))).toMatchObject({ runningVersion: '1.4' });
    expect(await agent.upgraded(await server.pack('2.0-a'))).toMatchObject({ runningVersion: '2.0-a' });
    expect(await server.violations()).toEqual([]);
    expect(await readFile(join(server.dir, 'calls'), 'utf8')).toContain('stop -- wealth.service');
  });
});

function commandExists(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
