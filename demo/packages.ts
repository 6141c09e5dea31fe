import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';
import { ChangeoverError } from '../src/domain/errors.ts';
import { OS_TYPES, type OsType, type Package } from '../src/domain/upgrade-params.ts';

export type BusinessMode = 'plain' | 'static-home' | 'floating-second';

/** What `release.json` in a package says; see `business/release.js` for the behaviours meant for tests. */
export interface BusinessRelease {
  readonly version: string;
  readonly mode: BusinessMode;
  /** Share (0..1) of visits in which the customer buys. */
  readonly successRate: number;
  readonly errorRate?: number;
  readonly slowByMs?: number;
  readonly startDelayMs?: number;
  readonly failStart?: boolean;
  readonly needsFile?: string;
  readonly hangStart?: boolean;
}

/** The three releases of the demo; the rates are those of the source method. */
export const BASELINE = {
  version: '1.4',
  mode: 'plain',
  successRate: 0.2,
} as const satisfies BusinessRelease;
export const STATIC_HOME = {
  version: '2.0-a',
  mode: 'static-home',
  successRate: 0.8,
} as const satisfies BusinessRelease;
export const FLOATING_SECOND = {
  version: '2.0-b',
  mode: 'floating-second',
  successRate: 0.3,
} as const satisfies BusinessRelease;

/** How a package is started, from the folder it was unpacked to. */
export const START_COMMAND = ['node', 'server.js'] as const;

const SOURCES = ['server.js', 'release.js', 'routes.js', 'pages.js'] as const;
// Beside this file also in dist: what is not compiled is copied there by the build.
const BUSINESS = fileURLToPath(new URL('./business/', import.meta.url));
const MTIME = new Date('2020-01-01T00:00:00Z');

/**
 * Packs a release of the demo's business as `wealth-<version>.tgz` in `outDir`. The same release gives the same bytes
 * on every machine, so that its SHA-256 can stand in a plan.
 */
export async function buildPackage(
  options: BusinessRelease & { readonly outDir: string; readonly os?: OsType },
): Promise<Package> {
  const { outDir, os = thisOs(), ...release } = options;
  const fileName = `wealth-${release.version}.tgz`;
  const path = resolve(outDir);
  await mkdir(path, { recursive: true });
  const staging = await mkdtemp(join(tmpdir(), 'wealth-'));
  try {
    const files = await stage(staging, release);
    // Finished elsewhere and renamed, so that nobody reads half a package.
    const unfinished = join(path, `.${fileName}.${process.pid}`);
    await create({ cwd: staging, file: unfinished, gzip: true, portable: true, mtime: MTIME }, files);
    const sha256 = createHash('sha256')
      .update(await readFile(unfinished))
      .digest('hex');
    await rename(unfinished, join(path, fileName));
    return { os, path, fileName, version: release.version, sha256 };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Lays the package's content out in `folder`; answers the file names, in the order in which they are packed. */
async function stage(folder: string, release: BusinessRelease): Promise<string[]> {
  const manifest = { name: 'wealth', version: release.version, private: true, type: 'module' };
  for (const name of SOURCES) await copyFile(join(BUSINESS, name), join(folder, name));
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(join(folder, 'release.json'), `${JSON.stringify(release, null, 2)}\n`);
  const files = [...SOURCES, 'package.json', 'release.json'];
  // Whatever the umask and the checkout say, the archive holds the same modes.
  for (const name of files) await chmod(join(folder, name), 0o644);
  return files;
}

/**
 * The OS type of this machine.
 *
 * @throws ChangeoverError `OsMismatch` where Changeover knows no such OS type.
 */
export function thisOs(): OsType {
  const known: Partial<Record<NodeJS.Platform, OsType>> = {
    linux: 'linux',
    darwin: 'darwin',
    win32: 'windows',
  };
  const os = known[process.platform];
  if (os !== undefined) return os;
  throw new ChangeoverError(
    'OsMismatch',
    `The demo cannot be packed on ${process.platform}; it runs on ${OS_TYPES.join(', ')}.`,
  );
}
