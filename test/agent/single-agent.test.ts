import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { claimFolder } from '../../src/agent/single-agent.ts';

const hooks = new URL('typescript.mjs', import.meta.url).href;
const module = new URL('../../src/agent/single-agent.ts', import.meta.url).href;

/** Claims when it is told to, says what came of it, and keeps what it has until its input ends. */
const program = `
  const { claimFolder } = await import(${JSON.stringify(module)});
  process.stdout.write('.');
  process.stdin.once('data', () => claimFolder(process.argv[1]).then(
    () => process.stdout.write('claimed'),
    (error) => process.stdout.write(error.code),
  ));`;

it('of agents that start at once on the folder of a dead one, one gets it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'changeover-claim-'));
  const start = () =>
    spawn(
      process.execPath,
      ['--import', fileURLToPath(hooks), '--input-type=module', '-e', program, folder],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
  const started: ReturnType<typeof start>[] = [];
  try {
    for (const agents of [1, 4]) {
      const processes = Array.from({ length: agents }, start);
      started.push(...processes);
      await Promise.all(processes.map(({ stdout }) => once(stdout, 'data')));
      const answers = processes.map(({ stdout }) => once(stdout, 'data'));
      for (const { stdin } of processes) stdin.write('go');
      const said = (await Promise.all(answers)).map(([chunk]) => String(chunk)).sort();
      expect(said).toEqual([...Array.from({ length: agents - 1 }, () => 'InvalidRequest'), 'claimed']);
      // Killed, it leaves its claim behind.
      await Promise.all(
        processes.map(async (process) => {
          process.kill('SIGKILL');
          await once(process, 'exit');
        }),
      );
    }
  } finally {
    for (const process of started) process.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});

it('a folder that was given back can be claimed again, by this process too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'changeover-claim-'));
  const first = await claimFolder(folder);
  await expect(claimFolder(folder)).rejects.toMatchObject({ code: 'InvalidRequest' });
  await first.release();
  await (await claimFolder(folder)).release();
  await rm(folder, { recursive: true, force: true });
});
