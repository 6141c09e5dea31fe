import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DemoResult } from '../../demo/result.ts';
import { processesWithEnv } from '../../src/agent/os-process.ts';

const MAIN = fileURLToPath(new URL('../../dist/demo/main.js', import.meta.url));

/** A temporary folder of this test alone: by it, in their environment, all processes of its demos are found. */
let folder = '';
let demos: Demo[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
  demos = [];
});

afterEach(async () => {
  for (const { child } of demos) child.kill('SIGKILL');
  for (const { pid } of processesWithEnv('TMPDIR', folder)) process.kill(pid, 'SIGKILL');
  await expect.poll(() => processesWithEnv('TMPDIR', folder)).toEqual([]);
  rmSync(folder, { recursive: true, force: true });
});

interface Demo {
  readonly child: ChildProcess;
  /** Exit code, or the signal by which it ended. */
  readonly ended: Promise<number | string>;
  readonly output: { readonly stdout: string; readonly stderr: string };
  saw(text: string | RegExp): Promise<void>;
}

function startDemo(...args: string[]): Demo {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (output[name] += text));
  }
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const saw = async (text: string | RegExp): Promise<void> => {
    await expect.poll(() => output.stdout + output.stderr, { timeout: 90_000 }).toMatch(text);
  };
  const demo = { child, ended, output, saw };
  demos.push(demo);
  return demo;
}

function fleetFolders(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('changeover-demo-'));
}

/** What watches over a process ends a moment after it. */
async function expectNothingLeft(): Promise<void> {
  await expect.poll(() => processesWithEnv('TMPDIR', folder), { timeout: 10_000 }).toEqual([]);
  expect(fleetFolders()).toEqual([]);
}

describe('npm run demo', () => {
  it('loses nothing, promotes the better version to every server, and leaves nothing running', async () => {
    const demo = startDemo('--json');
    expect(await demo.ended, demo.output.stderr).toBe(0);
    await expectNothingLeft();

    const result = JSON.parse(demo.output.stdout) as DemoResult & { files: string[] };
    expect(result).toMatchObject({
      ok: true,
      problems: [],
      outcome: 'promoted',
      winner: '2.0-a',
      approvedBy: 'demo',
      load: { rate: 300, lost: 0 },
      transactions: { cut: 0 },
      losses: [],
      cuts: [],
      countsAgree: true,
    });
    expect(result.load.sent).toBe(result.load.answered);
    expect(result.transactions.finished).toBe(result.transactions.started);
    // Invariant 6: the end state is uniform, as the agents see it.
    expect(result.servers).toHaveLength(9);
    expect(new Set(result.servers.map(({ version, healthy }) => `${version} ${healthy}`))).toEqual(
      new Set(['2.0-a true']),
    );
    // The demo speaks of what it does in the operator's place.
    expect(demo.output.stderr).toContain('The demo approves 2.0-a by itself');
    // How near the rule is with each reading, and what it says when it is there.
    expect(demo.output.stderr).toMatch(/reading \d+, stage \d of 3: [^\n]*evidence [\d,.]+ of 40 needed/);
    expect(demo.output.stderr).toMatch(/trial: 2\.0-a wins/);
    for (const file of result.files) expect(readFileSync(join(folder, file), 'utf8')).toContain('2.0-a');
  });

  it('rolls back to the baseline where the candidates are worse, and loses nothing', async () => {
    const demo = startDemo('--rollback', '--json');
    expect(await demo.ended, demo.output.stderr).toBe(0);
    await expectNothingLeft();

    const result = JSON.parse(demo.output.stdout) as DemoResult;
    expect(result).toMatchObject({
      ok: true,
      outcome: 'rolledBack',
      winner: null,
      load: { lost: 0 },
      transactions: { cut: 0 },
    });
    expect(new Set(result.servers.map(({ version }) => version))).toEqual(new Set(['1.4']));
  });

  it('ends everything on Ctrl-C while servers are being changed', async () => {
    const demo = startDemo();
    await demo.saw('deploying: Upgrading');
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(130);
    await expectNothingLeft();
  });

  it('ends everything on Ctrl-C while it is still starting', async () => {
    const demo = startDemo();
    await demo.saw('Starting Temporal');
    await expect.poll(fleetFolders).toHaveLength(1);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(130);
    await expectNothingLeft();
  });

  it('finds no leftovers of a demo that was killed, an agent of which was killed before', async () => {
    const killed = startDemo();
    await killed.saw('draining: Awaiting');
    const [left = ''] = fleetFolders();
    const record = JSON.parse(readFileSync(join(folder, left, 'fleet.json'), 'utf8')) as {
      processes: Record<string, { pid: number }>;
    };
    // Nobody is left then who would stop this server's business.
    process.kill(record.processes['agent-blue-1']!.pid, 'SIGKILL');
    killed.child.kill('SIGKILL');
    expect(await killed.ended).toBe('SIGKILL');

    const next = startDemo();
    await next.saw('Ended what 1 earlier run left behind');
    expect(fleetFolders()).not.toContain(left);
    next.child.kill('SIGINT');
    expect(await next.ended).toBe(130);
    await expectNothingLeft();
  });
});
