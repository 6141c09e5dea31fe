import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { ChangeoverError } from '../domain/errors.ts';

const run = promisify(execFile);

/** The release of the `temporal` command that is built where none can be downloaded; 1.29 is the server inside. */
export const TEMPORAL_CLI_VERSION = 'v1.5.1';
const TEMPORAL_CLI_MODULE = 'github.com/temporalio/cli/cmd/temporal';

/** A download that takes longer is taken for one that a firewall swallowed. */
const DOWNLOAD_TIMEOUT_MS = 120_000;
const BUILD_TIMEOUT_MS = 20 * 60_000;

const EXE = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

export interface FindTemporalOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Told what is being done, where it takes a while: one sentence each. */
  readonly onProgress?: (sentence: string) => void;
}

/** Folder in which what was downloaded or built once is kept: `CHANGEOVER_CACHE`, or `~/.cache/changeover`. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  return env.CHANGEOVER_CACHE ?? join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'changeover');
}

/**
 * Path of a `temporal` command that runs: the one on PATH, the one in the cache, else what the Temporal SDK downloads,
 * else what Go builds (about three minutes). Both of the latter are kept in the cache.
 *
 * @throws ChangeoverError `NotFound` that says what was tried and what to do
 */
export async function findTemporal(options: FindTemporalOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const onProgress = options.onProgress ?? (() => undefined);
  const cached = join(cacheFolder(env), 'bin', EXE);

  const onPath = (env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, EXE));
  for (const candidate of [...onPath, cached]) {
    if (await isTemporal(candidate)) return candidate;
  }

  const problems: string[] = [];
  for (const [what, get] of [
    ['Downloading the Temporal server', download],
    [`Building the Temporal server ${TEMPORAL_CLI_VERSION} with Go, which takes about three minutes`, build],
  ] as const) {
    onProgress(what);
    try {
      await get(cached, env);
      if (await isTemporal(cached)) return cached;
      problems.push(`${what}: what came does not run.`);
    } catch (error) {
      problems.push(`${what}: ${firstLine(error)}`);
    }
  }
  throw new ChangeoverError(
    'NotFound',
    [
      'There is no Temporal server here, and none could be obtained.',
      ...problems.map((problem) => `  - ${problem}`),
      'Install the `temporal` command (https://docs.temporal.io/cli#install) so that it is on PATH,',
      `or put it at ${cached}, or name a running server in TEMPORAL_ADDRESS.`,
    ].join('\n'),
    { details: problems },
  );
}

/** Whether the file is there and is Temporal's command (other tools of that name exist). */
async function isTemporal(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await run(path, ['--version'], { timeout: 20_000 });
    return stdout.startsWith('temporal version');
  } catch {
    return false;
  }
}

/** The SDK knows which release suits it and where it is; it offers no download without a start. */
async function download(target: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  const folder = join(cacheFolder(env), 'download');
  await mkdir(folder, { recursive: true });
  let timer: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<never>((_, reject) => {
    const problem = new Error(`nothing came within ${DOWNLOAD_TIMEOUT_MS / 1000} s`);
    timer = setTimeout(() => reject(problem), DOWNLOAD_TIMEOUT_MS);
  });
  try {
    const executable = { type: 'cached-download', downloadDir: folder } as const;
    const started = TestWorkflowEnvironment.createLocal({ server: { executable } });
    const environment = await Promise.race([started, tooSlow]);
    await environment.teardown();
    const [file] = (await readdir(folder)).filter((name) => name.startsWith('temporal-sdk-typescript'));
    if (file === undefined) throw new Error(`nothing was left in ${folder}`);
    await mkdir(join(target, '..'), { recursive: true });
    await rename(join(folder, file), target);
  } finally {
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true });
  }
}

async function build(target: string, env: NodeJS.ProcessEnv): Promise<void> {
  const bin = join(target, '..');
  await mkdir(bin, { recursive: true });
  await run('go', ['install', `${TEMPORAL_CLI_MODULE}@${TEMPORAL_CLI_VERSION}`], {
    env: { ...env, GOBIN: bin },
    timeout: BUILD_TIMEOUT_MS,
    maxBuffer: 16 * 1024 * 1024,
  });
}

function firstLine(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'Go is not installed.';
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split('\n').slice(0, 2).join(' ').slice(0, 300);
}
