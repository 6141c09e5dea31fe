import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, readlink, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { UpgradeParams } from '../domain/upgrade-params.ts';

/** Written into a release before it gets its name: a folder that bears it is complete. */
const MARKER = '.changeover-release.json';
const markerSchema = z.object({ version: z.string(), sha256: z.string(), unpackedAt: z.string() });

/** A complete release on this server. */
export interface Release {
  /** Name of its folder below `releases`. */
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** Of the package it came from; null where it was not unpacked by an agent. */
  readonly sha256: string | null;
}

/**
 * `releases/<version>` and the symbolic link `current` in the install folder. A release is unpacked under a name that
 * begins with a dot, and gets its real name by one rename, once it is complete.
 */
export interface Releases {
  /** The release of exactly this package, if it is there and complete. */
  find(params: UpgradeParams): Promise<Release | undefined>;
  read(name: string): Promise<Release | undefined>;
  /** The release that a folder belongs to, such as the one in which a process works. */
  ofFolder(folder: string): Promise<Release | undefined>;
  current(): Promise<Release | undefined>;
  /** Makes `current` point to this release, or removes it, in one instant. */
  switchTo(release: Release | undefined): Promise<void>;
  /** An empty folder to unpack into. */
  fresh(version: string): Promise<string>;
  /** Declares the unpacked folder complete. */
  complete(folder: string, params: UpgradeParams): Promise<Release>;
  /** Removes what was left half unpacked. */
  removeLeftovers(): Promise<void>;
  /** Removes the oldest releases beyond `keep`, but none of `needed`. */
  prune(keep: number, needed: readonly (string | null)[]): Promise<void>;
}

/** @throws ChangeoverError `PackageUnsafe` for a version that cannot name a folder. */
function assertFolderName(version: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$/.test(version)) return;
  throw new ChangeoverError(
    'PackageUnsafe',
    `The version "${version}" cannot name a folder: it may have letters, digits and . _ + - only.`,
  );
}

export async function openReleases(installDir: string): Promise<Releases> {
  const root = join(installDir, 'releases');
  await mkdir(root, { recursive: true });
  const realRoot = await realpath(root);
  const link = join(installDir, 'current');

  const read = async (name: string): Promise<Release | undefined> => {
    const path = join(realRoot, name);
    if (name.startsWith('.') || !(await isFolder(path))) return undefined;
    const marker = await readMarker(path);
    return { name, path, version: marker?.version ?? name, sha256: marker?.sha256 ?? null };
  };

  const find = async (params: UpgradeParams): Promise<Release | undefined> => {
    assertFolderName(params.version);
    for (const name of [params.version, rebuiltName(params)]) {
      const release = await read(name);
      if (release?.sha256 === params.sha256 && release.version === params.version) return release;
    }
    return undefined;
  };

  const ofFolder = async (folder: string): Promise<Release | undefined> => {
    const [name = ''] = relative(realRoot, folder).split(sep);
    return name === '' || name === '..' ? undefined : read(name);
  };

  return {
    find,
    read,
    ofFolder,
    current: async () => {
      const target = await realpath(link).catch(() => undefined);
      return target === undefined ? undefined : ofFolder(target);
    },
    switchTo: (release) => switchLink(link, release),
    fresh: async (version) => {
      assertFolderName(version);
      const folder = join(realRoot, `.${version}.${randomBytes(6).toString('hex')}`);
      await mkdir(folder, { mode: 0o755 });
      return folder;
    },
    complete: async (folder, params) => {
      await writeMarker(folder, params);
      // Another package under the same version may be the one that runs now: it is left alone.
      const taken = (await stat(join(realRoot, params.version)).catch(() => undefined)) !== undefined;
      const name = taken ? rebuiltName(params) : params.version;
      await rename(folder, join(realRoot, name));
      const release = await read(name);
      if (!release)
        throw new ChangeoverError('Internal', `The release ${name} vanished while it was unpacked.`);
      return release;
    },
    removeLeftovers: async () => {
      const names = (await readdir(realRoot)).filter((name) => name.startsWith('.'));
      await Promise.all(names.map((name) => rm(join(realRoot, name), { recursive: true, force: true })));
    },
    prune: (keep, needed) => prune(realRoot, keep, new Set(needed)),
  };
}

function rebuiltName(params: UpgradeParams): string {
  return `${params.version}~${params.sha256.slice(0, 12)}`;
}

async function switchLink(link: string, release: Release | undefined): Promise<void> {
  if (release === undefined) {
    await rm(link, { force: true });
    return;
  }
  const target = join('releases', release.name);
  if ((await readlink(link).catch(() => undefined)) === target) return;
  const temporary = `${link}.${randomBytes(6).toString('hex')}`;
  await symlink(target, temporary);
  try {
    await rename(temporary, link);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function prune(root: string, keep: number, needed: ReadonlySet<string | null>): Promise<void> {
  const names = (await readdir(root)).filter((name) => !name.startsWith('.'));
  const dated = await Promise.all(
    names.map(async (name) => ({ name, unpackedAt: (await readMarker(join(root, name)))?.unpackedAt })),
  );
  const surplus = dated
    // What no agent unpacked is not ours to remove.
    .flatMap(({ name, unpackedAt }) => (unpackedAt === undefined ? [] : [{ name, unpackedAt }]))
    .sort((a, b) => (a.unpackedAt < b.unpackedAt ? 1 : -1))
    .slice(keep)
    .filter(({ name }) => !needed.has(name));
  for (const { name } of surplus) {
    // Renamed first: a folder that is half removed must not pass for a complete one.
    const doomed = join(root, `.removed.${name}`);
    await rename(join(root, name), doomed);
    await rm(doomed, { recursive: true, force: true });
  }
}

async function writeMarker(folder: string, params: UpgradeParams): Promise<void> {
  const marker = { version: params.version, sha256: params.sha256, unpackedAt: new Date().toISOString() };
  await writeFileAtomic(join(folder, MARKER), `${JSON.stringify(marker)}\n`);
}

async function readMarker(folder: string): Promise<z.infer<typeof markerSchema> | undefined> {
  try {
    return markerSchema.parse(JSON.parse(await readFile(join(folder, MARKER), 'utf8')));
  } catch {
    return undefined;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

/** Whether a name in an archive is the marker's, which only the agent may write. */
export function isMarker(path: string): boolean {
  return basename(path).toLowerCase() === MARKER;
}
