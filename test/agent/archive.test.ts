import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create, Header, type HeaderData } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackArchive } from '../../src/agent/archive.ts';

const LIMITS = { maxPackageBytes: 1e9, maxUnpackedBytes: 10_000_000, maxEntries: 100, maxRatio: 200 };

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'changeover-archive-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

type Entry = HeaderData & { path: string; content?: string };

/** An archive by raw headers, such as no packing tool would write. */
function rawTar(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ content = '', ...data }) => {
    const block = Buffer.alloc(512);
    new Header({ mode: 0o644, type: 'File', size: content.length, mtime: new Date(0), ...data }).encode(
      block,
      0,
    );
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [block, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function unpack(bytes: Buffer, more: { fileName?: string; limits?: Partial<typeof LIMITS> } = {}) {
  const path = join(dir, 'archive');
  const folder = join(dir, 'release');
  await writeFile(path, bytes);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await unpackArchive({
    path,
    fileName: more.fileName ?? 'a.tar',
    folder,
    limits: { ...LIMITS, ...more.limits },
  });
  return folder;
}

const good: Entry = { path: 'bin/server', content: 'serve', mode: 0o755 };

describe('a package is unpacked', () => {
  it('from .tar, .tar.gz and .tgz, with modes and links inside', async () => {
    const entries: Entry[] = [
      { path: './', type: 'Directory', mode: 0o755 },
      good,
      { path: 'current-bin', type: 'SymbolicLink', linkpath: 'bin' },
      { path: 'lib/deep/link', type: 'SymbolicLink', linkpath: '../../bin/server' },
      { path: 'bin/same', type: 'Link', linkpath: 'bin/server' },
    ];
    for (const [fileName, bytes] of [
      ['a.tar', rawTar(entries)],
      ['a.tgz', gzipSync(rawTar(entries))],
      ['a.tar.gz', gzipSync(rawTar(entries))],
    ] as const) {
      const folder = await unpack(bytes, { fileName });
      expect(await readFile(join(folder, 'lib/deep/link'), 'utf8')).toBe('serve');
      expect(await readFile(join(folder, 'current-bin/same'), 'utf8')).toBe('serve');
      expect((await lstat(join(folder, 'bin/server'))).mode & 0o111).not.toBe(0);
    }
  });

  it('as an ordinary packing tool wrote it, long names included', async () => {
    const source = join(dir, 'source');
    const long = `${'long-folder-name/'.repeat(12)}file.txt`;
    await mkdir(join(source, long, '..'), { recursive: true });
    await writeFile(join(source, long), 'x'.repeat(100_000));
    await symlink('./file.txt', join(source, long, '../link'));
    const file = join(dir, 'source.tgz');
    await create({ cwd: source, file, gzip: true }, ['.']);
    const folder = await unpack(await readFile(file), { fileName: 'source.tgz' });
    expect(await readFile(join(folder, long, '../link'), 'utf8')).toHaveLength(100_000);
  });

  it.each<[string, Entry[]]>([
    ['an absolute path', [{ path: '/etc/evil', content: 'x' }]],
    ['a Windows drive', [{ path: 'C:/evil', content: 'x' }]],
    ['a path with ..', [{ path: '../evil', content: 'x' }]],
    ['a path with .. in the middle', [{ path: 'a/../../evil', content: 'x' }]],
    ['a backslash', [{ path: '..\\evil', content: 'x' }]],
    ['a control character', [{ path: 'a\u0007b', content: 'x' }]],
    ['an absolute symbolic link', [{ path: 'l', type: 'SymbolicLink', linkpath: '/etc' }]],
    ['a symbolic link above', [{ path: 'a/l', type: 'SymbolicLink', linkpath: '../../etc' }]],
    [
      'a symbolic link that goes up behind another link',
      [
        { path: 'a', type: 'SymbolicLink', linkpath: '.' },
        { path: 'l', type: 'SymbolicLink', linkpath: 'a/../evil' },
      ],
    ],
    [
      'a file behind a symbolic link',
      [
        { path: 'l', type: 'SymbolicLink', linkpath: 'bin' },
        { path: 'l/evil', content: 'x' },
      ],
    ],
    [
      'a file in place of a symbolic link',
      [
        { path: 'l', type: 'SymbolicLink', linkpath: 'bin' },
        { path: 'l', content: 'x' },
      ],
    ],
    ['a hard link out', [{ path: 'l', type: 'Link', linkpath: '../evil' }]],
    ['a hard link to what is not there', [{ path: 'l', type: 'Link', linkpath: 'passwd' }]],
    ['a character device', [{ path: 'd', type: 'CharacterDevice' }]],
    ['a block device', [{ path: 'd', type: 'BlockDevice' }]],
    ['a pipe', [{ path: 'd', type: 'FIFO' }]],
    ['a setuid file', [{ path: 's', content: 'x', mode: 0o4755 }]],
    ['a setgid file', [{ path: 's', content: 'x', mode: 0o2755 }]],
    ['names that differ in case only', [{ path: 'BIN/server', content: 'x' }]],
    ['the same file twice', [{ path: './bin//server', content: 'x' }]],
    ['a file where a folder is', [{ path: 'bin', content: 'x' }]],
    ["the agent's own marker", [{ path: '.changeover-release.json', content: '{}' }]],
  ])('but refused with %s, and nothing is written', async (_, entries) => {
    const bytes = rawTar([good, ...entries]);
    await expect(unpack(bytes)).rejects.toMatchObject({ code: 'PackageUnsafe' });
    expect(await readdir(join(dir, 'release'))).toEqual([]);
    expect(existsSync(join(dir, 'evil'))).toBe(false);
  });

  it('but refused when it is too large, too many, or packed too tightly', async () => {
    const refused = { code: 'PackageUnsafe' };
    const bomb = rawTar([{ path: 'zeros', content: '\0'.repeat(5_000_000) }]);
    await expect(unpack(bomb, { limits: { maxUnpackedBytes: 4_999_999 } })).rejects.toMatchObject(refused);
    await expect(unpack(gzipSync(bomb), { fileName: 'a.tgz' })).rejects.toMatchObject(refused);
    const many = rawTar(Array.from({ length: 101 }, (_, index) => ({ path: `f${index}`, content: '' })));
    await expect(unpack(many)).rejects.toMatchObject(refused);
    expect(await readdir(join(dir, 'release'))).toEqual([]);
  });

  it('but refused when it is damaged, cut short, empty, or no archive', async () => {
    const whole = rawTar([good, { path: 'more', content: 'y'.repeat(2000) }]);
    const damaged = Buffer.from(whole);
    damaged[3] = 0x7f;
    const packed = gzipSync(whole);
    const cases: [Buffer, string][] = [
      [damaged, 'a.tar'],
      [whole.subarray(0, 1800), 'a.tar'],
      [packed.subarray(0, packed.length - 20), 'a.tgz'],
      [Buffer.from('not gzip at all'), 'a.tgz'],
      [rawTar([]), 'a.tar'],
      [rawTar([{ path: 'folder', type: 'Directory' }]), 'a.tar'],
      [whole, 'a.zip'],
    ];
    for (const [bytes, fileName] of cases) {
      await expect(unpack(bytes, { fileName })).rejects.toMatchObject({ code: 'PackageUnsafe' });
    }
  });
});
