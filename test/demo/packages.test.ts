import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract, list } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BASELINE, buildPackage, FLOATING_SECOND, STATIC_HOME, thisOs } from '../../demo/packages.ts';

describe('the packages of the demo', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'packages-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('are the same bytes whenever, wherever and under whatever umask they are built', async () => {
    const first = await buildPackage({ ...STATIC_HOME, outDir: join(folder, 'a') });
    const umask = process.umask(0o077);
    const second = await buildPackage({ ...STATIC_HOME, outDir: join(folder, 'b') }).finally(() =>
      process.umask(umask),
    );
    expect(second.sha256).toBe(first.sha256);
    expect(await readFile(join(second.path, second.fileName))).toEqual(
      await readFile(join(first.path, first.fileName)),
    );
  });

  it('differ from release to release, and say what they are and what their bytes add up to', async () => {
    const built = [];
    for (const release of [BASELINE, STATIC_HOME, FLOATING_SECOND]) {
      const pack = await buildPackage({ ...release, outDir: folder });
      const bytes = await readFile(join(pack.path, pack.fileName));
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(pack.sha256);
      built.push(pack);
    }
    expect(new Set(built.map(({ sha256 }) => sha256)).size).toBe(3);
    expect(built[1]).toMatchObject({
      os: thisOs(),
      path: folder,
      fileName: 'wealth-2.0-a.tgz',
      version: '2.0-a',
    });
    expect(await readdir(folder), 'nothing unfinished is left').toHaveLength(3);
  });

  it('unpack to plain files that carry their release', async () => {
    const pack = await buildPackage({ ...FLOATING_SECOND, slowByMs: 7, outDir: folder });
    const file = join(pack.path, pack.fileName);
    const entries: [string, string, number | undefined][] = [];
    await list({ file, onReadEntry: ({ path, type, mode }) => entries.push([path, type, mode]) });
    expect(
      entries.every(([path, type, mode]) => !path.includes('/') && type === 'File' && mode === 0o644),
    ).toBe(true);
    await mkdir(join(folder, 'out'));
    await extract({ file, cwd: join(folder, 'out') });
    expect(JSON.parse(await readFile(join(folder, 'out/release.json'), 'utf8'))).toEqual({
      ...FLOATING_SECOND,
      slowByMs: 7,
    });
  });
});
