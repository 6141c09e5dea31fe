import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'tar';
import { ChangeoverError } from '../src/domain/errors.ts';
import { OS_TYPES, type OsType, type Package } from '../src/domain/upgrade-params.ts';

export type BusinessName = 'wealth' | 'pricing';
export type BusinessMode =
  'plain' | 'static-home' | 'floating-second' | 'flat-rates' | 'live-rates' | 'tiered-rates';

/** What `release.json` in a package says; see `business/release.js` for the behaviours meant for tests. */
export interface BusinessRelease {
  /** What is packed; the wealth pages by default. */
  readonly business?: BusinessName;
  readonly version: string;
  readonly mode: BusinessMode;
  /** Share (0..1) of visits in which the customer buys. */
  readonly successRate: number;
  readonly errorRate?: number;
  readonly failsWithFile?: string;
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

/** The inner service of the demo of tiers, and what competes there. */
export const PRICING_BASELINE = {
  business: 'pricing',
  version: '1.0',
  mode: 'flat-rates',
  successRate: 0.2,
} as const satisfies BusinessRelease;
export const LIVE_RATES = {
  business: 'pricing',
  version: '2.0-a',
  mode: 'live-rates',
  successRate: 0.8,
} as const satisfies BusinessRelease;
export const TIERED_RATES = {
  business: 'pricing',
  version: '2.0-b',
  mode: 'tiered-rates',
  successRate: 0.3,
} as const satisfies BusinessRelease;

/** How a package is started, from the folder it was unpacked to. */
export const START_COMMAND = ['node', 'server.js'] as const;

/** Name in the package → file in `business`. */
const SOURCES: Readonly<Record<BusinessName, Readonly<Record<string, string>>>> = {
  wealth: sameNames('server.js', 'release.js', 'routes.js', 'answers.js', 'pages.js', 'pricing-client.js'),
  pricing: {
    ...sameNames('server.js', 'release.js', 'answers.js', 'calls-record.js'),
    'routes.js': 'pricing-routes.js',
  },
};
// Beside this file also in dist: what is not compiled is copied there by the build.
const BUSINESS = fileURLToPath(new URL('./business/', import.meta.url));
const MTIME = new Date('2020-01-01T00:00:00Z');

/**
 * Packs a release of the demo's business, such as `wealth-<version>.tgz`, in `outDir`. The same release gives the same bytes
 * on every machine, so that its SHA-256 can stand in a plan.
 */
export async function buildPackage(
  options: BusinessRelease & { readonly outDir: string; readonly os?: OsType },
): Promise<Package> {
  const { outDir, os = thisOs(), ...release } = options;
  const name = release.business ?? 'wealth';
  const fileName = `${name}-${release.version}.tgz`;
  const path = resolve(outDir);
  await mkdir(path, { recursive: true });
  const staging = await mkdtemp(join(tmpdir(), `${name}-`));
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
  const { business = 'wealth' } = release;
  const manifest = { name: business, version: release.version, private: true, type: 'module' };
  const sources = SOURCES[business];
  for (const [name, source] of Object.entries(sources))
    await copyFile(join(BUSINESS, source), join(folder, name));
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(join(folder, 'release.json'), `${JSON.stringify(release, null, 2)}\n`);
  const files = [...Object.keys(sources), 'package.json', 'release.json'];
  // Whatever the umask and the checkout say, the archive holds the same modes.
  for (const name of files) await chmod(join(folder, name), 0o644);
  return files;
}

function sameNames(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, name]));
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
