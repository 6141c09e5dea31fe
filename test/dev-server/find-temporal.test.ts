import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder, findTemporal } from '../../src/dev-server/find-temporal.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-find-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function command(path: string, says: string): Promise<string> {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho '${says}'\n`);
  await chmod(path, 0o755);
  return path;
}

describe.skipIf(process.platform === 'win32')('finding the temporal command', () => {
  it('takes the one on PATH before the one in the cache', async () => {
    const onPath = await command(join(folder, 'path', 'temporal'), 'temporal version 1.5.1');
    await command(join(folder, 'cache', 'bin', 'temporal'), 'temporal version 1.5.0');
    const env = { PATH: join(folder, 'path'), CHANGEOVER_CACHE: join(folder, 'cache') };
    expect(await findTemporal({ env })).toBe(onPath);
  });

  it('passes over another program of that name', async () => {
    await command(join(folder, 'path', 'temporal'), 'Temporal the calendar, 3.0');
    const cached = await command(join(folder, 'cache', 'bin', 'temporal'), 'temporal version 1.5.1');
    const env = { PATH: join(folder, 'path'), CHANGEOVER_CACHE: join(folder, 'cache') };
    expect(await findTemporal({ env })).toBe(cached);
  });

  it('keeps its cache where CHANGEOVER_CACHE says, else in the folder for caches', () => {
    expect(cacheFolder({ CHANGEOVER_CACHE: '/somewhere' })).toBe('/somewhere');
    expect(cacheFolder({ XDG_CACHE_HOME: '/caches' })).toBe('/caches/changeover');
  });
});
