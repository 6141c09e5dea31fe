import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { defineSearchAttributeKey } from '@temporalio/common';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startDevServer } from '../../src/dev-server/dev-server.ts';
import { findTemporal } from '../../src/dev-server/find-temporal.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import { connectTemporal, ensureSearchAttributes } from '../../src/temporal.ts';

const run = promisify(execFile);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-dev-server-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the development server', { timeout: 120_000 }, () => {
  it('answers with our search attributes, and keeps its runs over a kill on the same ports and file', async () => {
    const dbFile = join(folder, 'temporal.db');
    const logFile = join(folder, 'temporal.log');
    await using first = await startDevServer({ dbFile, logFile });
    {
      await using temporal = await connectTemporal({ TEMPORAL_ADDRESS: first.address });
      await temporal.client.workflow.start('nobody-works-on-this', {
        taskQueue: 'none',
        workflowId: 'survivor',
        typedSearchAttributes: [
          { key: defineSearchAttributeKey('ChangeoverService', 'KEYWORD'), value: 'shop' },
          {
            key: defineSearchAttributeKey('ChangeoverCandidates', 'KEYWORD_LIST'),
            value: ['2.0-a', '2.0-b'],
          },
        ],
      });
    }
    expect((await fetch(first.uiUrl)).status).toBe(200);
    await first.kill();
    expect(isAlive(first.pid)).toBe(false);

    await using second = await startDevServer({ dbFile, logFile, port: first.port, uiPort: first.uiPort });
    expect(second.address).toBe(first.address);
    await using temporal = await connectTemporal({ TEMPORAL_ADDRESS: second.address });
    const description = await temporal.client.workflow.getHandle('survivor').describe();
    expect(description.status.name).toBe('RUNNING');
    await second.close();
    expect(await answers(second.port)).toBe(false);
  });

  it('adds the search attributes to a server that lacks them, once', async () => {
    const executable = await findTemporal();
    const [port = 0, uiPort = 0] = await freePorts(2);
    const args = [
      'server',
      'start-dev',
      '--port',
      String(port),
      '--ui-port',
      String(uiPort),
      '--log-level',
      'never',
    ];
    const bare = spawn(executable, args, { stdio: 'ignore' });
    try {
      const address = `127.0.0.1:${port}`;
      await vi.waitFor(
        () => run(executable, ['operator', 'search-attribute', 'list', '--address', address]),
        30_000,
      );
      await using temporal = await connectTemporal({ TEMPORAL_ADDRESS: address });
      await ensureSearchAttributes(temporal.connection, temporal.namespace);
      await ensureSearchAttributes(temporal.connection, temporal.namespace);
      const listed = await temporal.connection.operatorService.listSearchAttributes({ namespace: 'default' });
      expect(Object.keys(listed.customAttributes)).toContain('ChangeoverOutcome');
    } finally {
      bare.kill('SIGKILL');
    }
  });

  it('refuses a port that is taken, rather than take another server for itself', async () => {
    const [port = 0] = await freePorts(1);
    const logFile = join(folder, 'refused.log');
    await using _first = await startDevServer({ port, logFile });
    await expect(startDevServer({ port, logFile })).rejects.toThrow(`Port ${port} of 127.0.0.1 is taken`);
  });
});

describe('a server whose starter is killed', () => {
  it('ends by itself', async () => {
    const script = join(folder, 'parent.mjs');
    const bound = join(import.meta.dirname, '../../src/dev-server/bound-process.ts');
    const source = ts.transpile(await readFile(bound, 'utf8'), {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2023,
    });
    await writeFile(join(folder, 'bound-process.mjs'), source);
    await writeFile(
      script,
      `import { spawn } from 'node:child_process';
       import { bindToThisProcess } from './bound-process.mjs';
       const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
       bindToThisProcess(child);
       console.log(child.pid);`,
    );
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 10_000);
  });
});
