import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { request } from 'undici';
import { ChangeoverError } from '../domain/errors.ts';
import type { UpgradeParams } from '../domain/upgrade-params.ts';

const MAX_REDIRECTS = 5;
const SILENCE_MS = 30_000;
const KEPT = 8;

export interface PackageSource {
  /**
   * The package on this server's disk, with the right checksum. What is there already is not fetched again.
   *
   * @throws ChangeoverError `PackageNotAllowed`, `PackageMissing`, `PackageUnsafe` (too big), `ChecksumMismatch`.
   */
  fetch(params: UpgradeParams, options: { signal: AbortSignal }): Promise<string>;
  /** Checks a fetched package once more: a disk may have changed it since. */
  verify(params: UpgradeParams): Promise<string>;
  forget(params: UpgradeParams): Promise<void>;
}

export function createPackageSource(config: {
  folder: string;
  packageRoots: readonly string[];
  maxPackageBytes: number;
}): PackageSource {
  const pathOf = (params: UpgradeParams): string => join(config.folder, params.sha256);

  const verify = async (params: UpgradeParams): Promise<string> => {
    const path = pathOf(params);
    const held = await digestOf(createReadStream(path));
    if (held === params.sha256) return path;
    await rm(path, { force: true });
    throw mismatch(params, held);
  };

  return {
    verify,
    fetch: async (params, { signal }) => {
      const path = pathOf(params);
      if (await exists(path)) return path;
      await mkdir(config.folder, { recursive: true });
      const temporary = join(config.folder, `.${params.sha256}.${randomBytes(6).toString('hex')}`);
      try {
        const source = await openSource(params, config.packageRoots, signal);
        const held = await save(bytesOf(source, params, signal), {
          path: temporary,
          maxBytes: config.maxPackageBytes,
        });
        if (held !== params.sha256) throw mismatch(params, held);
        await rename(temporary, path);
        await keepNewest(config.folder);
        return path;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    forget: (params) => rm(pathOf(params), { force: true }),
  };
}

/** Packages that were prepared and never used do not fill the disk. */
async function keepNewest(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  const dated = await Promise.all(
    names.map(async (name) => ({
      name,
      atMs: (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0,
    })),
  );
  const surplus = dated.sort((a, b) => b.atMs - a.atMs).slice(KEPT);
  await Promise.all(surplus.map(({ name }) => rm(join(folder, name), { force: true })));
}

/** Writes the stream to a file, stops at the first byte too many, and returns the SHA-256. */
async function save(
  source: AsyncIterable<Buffer>,
  target: { path: string; maxBytes: number },
): Promise<string> {
  const file = await open(target.path, 'wx', 0o600);
  const hash = createHash('sha256');
  let length = 0;
  try {
    for await (const chunk of source) {
      length += chunk.length;
      if (length > target.maxBytes) {
        throw new ChangeoverError(
          'PackageUnsafe',
          `The package is larger than this agent allows (limits.maxPackageBytes: ${target.maxBytes}).`,
        );
      }
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

async function* bytesOf(
  source: Readable,
  params: UpgradeParams,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  try {
    yield* source as AsyncIterable<Buffer>;
  } catch (cause) {
    signal.throwIfAborted();
    throw missing(`${params.path}/${params.fileName}`, `it broke off (${String(cause)})`, cause);
  } finally {
    source.destroy();
  }
}

async function openSource(
  params: UpgradeParams,
  roots: readonly string[],
  signal: AbortSignal,
): Promise<Readable> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+@~-]{0,199}$/.test(params.fileName)) {
    throw notAllowed(`the file name "${params.fileName}" may have letters, digits and . _ + @ ~ - only`);
  }
  if (/^https?:\/\//i.test(params.path)) return openUrl(params, roots, signal);
  if (isAbsolute(params.path)) return openFile(params, roots);
  throw notAllowed(`"${params.path}" is neither an absolute folder nor an http or https address`);
}

async function openFile(params: UpgradeParams, roots: readonly string[]): Promise<Readable> {
  const named = join(params.path, params.fileName);
  const folders = roots.filter(isAbsolute);
  // By name first, so that nobody learns from the answer what exists elsewhere; then with links resolved.
  if (!folders.some((folder) => contains(join(folder), named))) throw outside(named, roots);
  const [real, ...realFolders] = await Promise.all([
    realpath(named).catch(() => undefined),
    ...folders.map((folder) => realpath(folder).catch(() => folder)),
  ]);
  if (real === undefined) throw missing(named, 'there is no such file');
  if (!realFolders.some((folder) => contains(folder, real))) throw outside(named, roots);
  if (!(await stat(real)).isFile()) throw missing(named, 'it is not a file');
  return createReadStream(real);
}

async function openUrl(
  params: UpgradeParams,
  roots: readonly string[],
  signal: AbortSignal,
): Promise<Readable> {
  let url = new URL(`${params.path.replace(/\/+$/, '')}/${params.fileName}`);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    if (!roots.some((root) => containsUrl(root, url))) throw outside(url.href, roots);
    const response = await request(url, {
      signal,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      // Its checksum is that of the file, not of a coding of it.
      headers: { 'accept-encoding': 'identity' },
    }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw missing(url.href, `it cannot be fetched (${String(cause)})`, cause);
    });
    if (response.statusCode === 200) return response.body;
    await response.body.dump();
    const { location } = response.headers;
    if (response.statusCode < 300 || response.statusCode > 399 || typeof location !== 'string') {
      throw missing(url.href, `the server answered ${response.statusCode}`);
    }
    url = new URL(location, url);
  }
  throw missing(url.href, `more than ${MAX_REDIRECTS} redirects`);
}

function contains(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function containsUrl(root: string, url: URL): boolean {
  if (isAbsolute(root)) return false;
  const allowed = new URL(root);
  const prefix = allowed.pathname.endsWith('/') ? allowed.pathname : `${allowed.pathname}/`;
  // A coded slash or dot may be decoded by the server after this check.
  const ambiguous = /%2e|%2f|%5c/i.test(url.pathname) || url.username !== '' || url.password !== '';
  return !ambiguous && url.origin === allowed.origin && url.pathname.startsWith(prefix);
}

async function digestOf(source: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of source as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function outside(where: string, roots: readonly string[]): ChangeoverError {
  return notAllowed(`${where} is not below any of ${roots.join(', ')}`);
}

function notAllowed(why: string): ChangeoverError {
  return new ChangeoverError(
    'PackageNotAllowed',
    `The package may not be taken: ${why}. Put it below one of the agent's packageRoots, or add its place to them.`,
  );
}

function missing(where: string, why: string, cause?: unknown): ChangeoverError {
  return new ChangeoverError(
    'PackageMissing',
    `The package ${where} is missing: ${why}. Put it there, and retry.`,
    { cause },
  );
}

function mismatch(params: UpgradeParams, held: string): ChangeoverError {
  return new ChangeoverError(
    'ChecksumMismatch',
    `${params.fileName} is not the package that the plan means: its SHA-256 is ${held}, the plan says ${params.sha256}.`,
    { details: { expected: params.sha256, held } },
  );
}
