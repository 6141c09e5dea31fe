import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit-code.ts';
import { runCaptured } from './captured-context.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/example-plan.yaml', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'render-command-'));
afterAll(() => rm(folder, { recursive: true }));

describe('haproxy render', () => {
  test('has HAProxy serve as a user of its own, who owns the Runtime API, and shut into a folder', async () => {
    const { out } = await runCaptured(['haproxy', 'render', EXAMPLE]);
    expect(out).toMatch(
      /^global\n(?: .*\n)* {4}chroot \/var\/lib\/haproxy\n {4}user haproxy\n {4}group haproxy\n/m,
    );
    expect(out).toMatch(
      /^ {4}stats socket \/run\/haproxy\/admin\.sock user haproxy group haproxy mode 660 level admin /m,
    );
  });

  test('leaves that to whoever starts it, where asked to', async () => {
    const { out } = await runCaptured(['haproxy', 'render', EXAMPLE, '--no-user']);
    expect(out).not.toMatch(/^ *(chroot|user|group) | user haproxy/m);
    const shutOut = await runCaptured(['haproxy', 'render', EXAMPLE, '--no-chroot', '--user', 'lb']);
    expect(shutOut.out).toMatch(/^ {4}user lb\n {4}group lb\n/m);
    expect(shutOut.out).not.toContain('    chroot ');
  });

  test('writes a whole file when all is well, and nothing at all where the plan is wrong', async () => {
    const output = join(folder, 'haproxy.cfg');
    const command = ['--seed', '--files', join(folder, 'files'), '--output', output];
    const wrong = join(folder, 'wrong.yaml');
    await writeFile(wrong, (await readFile(EXAMPLE, 'utf8')).replace(/^service: .*$/m, 'service: ""'));
    await writeFile(output, 'as it was');
    expect(await runCaptured(['haproxy', 'render', wrong, ...command])).toMatchObject({
      exitCode: EXIT.badInput,
      err: expect.stringContaining('service') as string,
    });
    expect(await readFile(output, 'utf8')).toBe('as it was');
    expect((await readdir(folder)).toSorted()).toEqual(['haproxy.cfg', 'wrong.yaml']);

    expect(await runCaptured(['haproxy', 'render', EXAMPLE, ...command])).toEqual({
      exitCode: EXIT.ok,
      out: '',
      err: '',
    });
    expect(await readFile(output, 'utf8')).toMatch(/^# HAProxy for .*\n\n$/s);
    expect(await readdir(join(folder, 'files'))).toContain('servers.state');
  });
});
