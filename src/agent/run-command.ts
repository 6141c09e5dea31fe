import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import type { RunConfig } from './config.ts';
import {
  environmentOf,
  identityOf,
  isAlive,
  isInGroup,
  leadsGroup,
  liveGroup,
  processesWithEnv,
  signal,
  signalGroup,
  workingFolderOf,
  type ProcessIdentity,
} from './os-process.ts';
import type { Release, Releases } from './releases.ts';
import { openLog, tailLog } from './software-log.ts';
import type { Software } from './software.ts';
import { waitUntil } from './wait.ts';

const recordSchema = z.object({
  pid: z.int().positive(),
  started: z.string(),
  release: z.string(),
  /** Where the output of this start begins in the log. */
  logOffset: z.int().nonnegative(),
});
type ProcessRecord = z.infer<typeof recordSchema>;

/** Marks the software's processes as those of one agent, also across a kill of the agent. */
const MARK = 'CHANGEOVER_STATE_DIR';
const RELEASE = 'CHANGEOVER_RELEASE';
const KILL_WAIT_MS = 10_000;
const POLL_MS = 20;
/** The event of a child's end comes so much later than /proc knows of it, at the most. */
const EXIT_EVENT_MS = 1_000;

/**
 * Software that is a command in the foreground, in a process group of its own. It outlives the agent: the next agent
 * finds it by number and start time, or, if it was killed before it could write these down, by its environment.
 */
export async function createRunCommand(
  config: RunConfig,
  deps: {
    stateDir: string;
    env: Readonly<Record<string, string>>;
    releases: Releases;
    logger: Logger;
    checkpoint: (name: string) => Promise<void>;
  },
): Promise<Software> {
  const recordPath = join(deps.stateDir, 'process.json');
  const logPath = config.logFile ?? join(deps.stateDir, 'software.log');
  let record = await readRecord(recordPath);
  let exit: string | undefined;
  /** Of the child that this agent started itself. */
  let childEnd: Promise<void> | undefined;
  /** It was seen that nothing lives, and nothing was started since. */
  let nothingLives = false;

  const remember = async (next: ProcessRecord | undefined): Promise<void> => {
    record = next;
    if (next) writeFileAtomic.sync(recordPath, `${JSON.stringify(next)}\n`, { mode: 0o600 });
    else await rm(recordPath, { force: true });
  };

  const marked = (): ProcessIdentity[] => processesWithEnv(MARK, deps.stateDir);
  /** Everything that was started from here and lives, whether or not it could be written down. */
  const livePids = (): number[] => [
    ...new Set([...(record ? liveGroup(record) : []), ...marked().map(({ pid }) => pid)]),
  ];
  // Asked often while it stops: what is cheap to see comes first.
  const isGone = (): boolean => !(record && isAlive(record)) && livePids().length === 0;

  /** The process that a killed agent started without having written it down, if it is among these. */
  const adoptOrphan = async (live: readonly ProcessIdentity[]): Promise<void> => {
    const orphan = live.find(({ pid }) => leadsGroup(pid));
    const release = orphan && (await releaseOf(orphan.pid, deps.releases));
    if (!orphan || !release) return;
    deps.logger.info({ pid: orphan.pid, release: release.name }, 'took over the running software');
    await remember({ ...orphan, release: release.name, logOffset: 0 });
  };
  if (!record) await adoptOrphan(marked());

  const running: Software['running'] = async () => {
    if (!record || !isAlive(record)) {
      // /proc says so a moment before the event that tells how it ended.
      if (childEnd !== undefined)
        await Promise.race([childEnd, delay(EXIT_EVENT_MS, undefined, { ref: false })]);
      return { state: 'stopped', exit };
    }
    const release =
      (await releaseOf(record.pid, deps.releases)) ?? (await deps.releases.read(record.release));
    return { state: 'running', release };
  };

  /** Looks at once when the child has told of its end. */
  const gone = async (timeoutMs: number): Promise<boolean> => {
    const fromMs = performance.now();
    if (childEnd !== undefined) {
      const ended = new AbortController();
      void childEnd.then(() => ended.abort());
      await delay(timeoutMs, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    const leftMs = Math.max(0, timeoutMs - (performance.now() - fromMs));
    return waitUntil(isGone, { timeoutMs: leftMs, intervalMs: POLL_MS });
  };

  /** First those who are known: they end while the whole host is looked through for others. */
  const terminate = (): void => {
    const leader = record;
    if (leader) signalGroup(leader, 'SIGTERM');
    const others = marked().filter(({ pid }) => !leader || !isInGroup(pid, leader));
    for (const { pid } of others) signal(pid, 'SIGTERM');
  };

  const stop: Software['stop'] = async () => {
    terminate();
    let note: string | undefined;
    if (!(await gone(config.stopGraceMs))) {
      const pids = livePids();
      note = `The software did not stop within ${config.stopGraceMs} ms of SIGTERM and was killed (SIGKILL; processes ${pids.join(', ')}).`;
      deps.logger.warn({ pids }, note);
      for (const pid of pids) signal(pid, 'SIGKILL');
      if (!(await gone(KILL_WAIT_MS))) {
        throw new ChangeoverError(
          'StopFailed',
          `The software still runs after SIGKILL (processes ${livePids().join(', ')}). Look at what holds them, and retry.`,
          { details: { pids: livePids() } },
        );
      }
    }
    nothingLives = true;
    await remember(undefined);
    exit = undefined;
    childEnd = undefined;
    return note;
  };

  const start: Software['start'] = async (release) => {
    // To look through all processes of a host takes long where a server is out of traffic meanwhile: once will do.
    const live = nothingLives ? [] : marked();
    if (!record) await adoptOrphan(live);
    const present = await running();
    if (present.state === 'running' && present.release?.name === release.name) return;
    if (live.length > 0 || (record && liveGroup(record).length > 0)) await stop();
    nothingLives = false;
    // Before the spawn: from here on, a process that nobody wrote down is the one started next.
    await remember(undefined);
    exit = undefined;
    childEnd = undefined;
    const log = await openLog(logPath);
    try {
      const child = await spawnCommand(config, {
        release,
        env: deps.env,
        stateDir: deps.stateDir,
        log: log.file.fd,
      });
      childEnd = new Promise((resolve) => {
        child.once('exit', (code, name) => {
          exit = name === null ? `exit code ${code ?? 'unknown'}` : `signal ${name}`;
          resolve();
        });
      });
      await deps.checkpoint('starting:spawned');
      await remember({ ...identityOfChild(child), release: release.name, logOffset: log.offset });
    } finally {
      await log.file.close();
    }
  };

  return {
    supervised: true,
    start,
    stop,
    running,
    lastLines: () => tailLog(logPath, record?.logOffset ?? 0),
  };
}

async function spawnCommand(
  config: RunConfig,
  how: { release: Release; env: Readonly<Record<string, string>>; stateDir: string; log: number },
): Promise<ChildProcess> {
  const [program = '', ...args] = config.command;
  const cwd = join(how.release.path, config.cwd);
  if (!(await stat(cwd).catch(() => undefined))?.isDirectory()) {
    throw startFailed(`the release ${how.release.name} has no folder "${config.cwd}" (run.cwd)`);
  }
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      // Of its own group, so that it outlives the agent and is signalled with all its children.
      detached: true,
      stdio: ['ignore', how.log, how.log],
      env: {
        ...how.env,
        ...config.env,
        CHANGEOVER_VERSION: how.release.version,
        [RELEASE]: how.release.path,
        [MARK]: how.stateDir,
      },
    });
    child.once('spawn', () => {
      child.unref();
      resolve(child);
    });
    child.once('error', (cause) =>
      reject(startFailed(`${program} cannot be started: ${cause.message}`, cause)),
    );
  });
}

function identityOfChild(child: ChildProcess): ProcessIdentity {
  if (child.pid === undefined) throw startFailed('the system gave it no process number');
  // One that has ended already has no start time any more, and is never taken for a later one.
  return identityOf(child.pid) ?? { pid: child.pid, started: 'ended' };
}

/** What a process really runs: its folder now, or, where it left the releases, the one it was started with. */
async function releaseOf(pid: number, releases: Releases): Promise<Release | undefined> {
  const folders = [workingFolderOf(pid), environmentOf(pid)[RELEASE]];
  for (const folder of folders) {
    const release = folder === undefined ? undefined : await releases.ofFolder(folder);
    if (release) return release;
  }
  return undefined;
}

async function readRecord(path: string): Promise<ProcessRecord | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : recordSchema.safeParse(JSON.parse(text)).data;
}

function startFailed(why: string, cause?: unknown): ChangeoverError {
  return new ChangeoverError('StartFailed', `The software could not be started: ${why}.`, { cause });
}
