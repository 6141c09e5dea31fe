import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import {
  identityOf,
  isAlive,
  processesWithEnv,
  signal,
  type ProcessIdentity,
} from '../../src/agent/os-process.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';

/** Environment variable that every process of a fleet carries, the businesses that agents start included. */
export const FLEET_MARK = 'CHANGEOVER_FLEET';

const PREFIX = 'changeover-demo-';
const RECORD = 'fleet.json';
/** A folder without a record may be one that is being made just now. */
const ABANDONED_AFTER_MS = 60_000;
const END_WAIT_MS = 10_000;

const identitySchema = z.object({ pid: z.int().positive(), started: z.string() });
const recordSchema = z.object({ owner: identitySchema, processes: z.record(z.string(), identitySchema) });
type FleetRecord = z.infer<typeof recordSchema>;

/** The folder of one fleet: everything that it writes, and the record of what it runs. */
export interface WorkFolder {
  readonly path: string;
  /** Says which process bears the name now, so that a later start finds it if this process is killed. */
  record(name: string, pid: number): Promise<void>;
  /** Ends whatever of the fleet still runs, the businesses of killed agents included. */
  endAll(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Makes the folder: a fresh one in the system's temporary folder, or the one given, which has to be empty or of an
 * earlier fleet that is gone.
 *
 * @throws ChangeoverError `InvalidRequest` where the folder given belongs to a fleet that runs.
 */
export async function openWorkFolder(given?: string): Promise<WorkFolder> {
  const owner = identityOf(process.pid);
  if (owner === undefined) throw new ChangeoverError('Internal', 'This process does not find itself.');
  if (given !== undefined && (await endFleetOf(given)) === 'runs') {
    throw new ChangeoverError('InvalidRequest', `A fleet runs in ${given}: end it, or name another folder.`);
  }
  if (given !== undefined) await mkdir(given, { recursive: true });
  // Links resolved: agents compare folders as the system names them.
  const path = await realpath(given ?? (await mkdtemp(join(tmpdir(), PREFIX))));
  const processes: Record<string, ProcessIdentity> = {};
  const write = (): Promise<void> =>
    writeFileAtomic(join(path, RECORD), `${JSON.stringify({ owner, processes })}\n`);
  await write();
  return {
    path,
    record: async (name, pid) => {
      const identity = identityOf(pid);
      if (identity === undefined) return;
      processes[name] = identity;
      await write();
    },
    endAll: () => endProcesses(path, { owner, processes }),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/**
 * Ends what earlier fleets left behind whose owner was killed (SIGKILL, power), and removes their folders. A process is
 * ended only if its number and its start time are those on record, or if it carries the fleet's mark.
 */
export async function sweepLeftovers(): Promise<number> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(PREFIX));
  const swept = await Promise.all(
    names.map((name) => endFleetOf(join(tmpdir(), name)).catch(() => 'nothing' as const)),
  );
  return swept.filter((state) => state === 'ended').length;
}

async function endFleetOf(folder: string): Promise<'runs' | 'ended' | 'nothing'> {
  const record = await readRecord(folder);
  if (record === undefined) {
    const modifiedMs = (await stat(folder).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (folder.includes(PREFIX) && Date.now() - modifiedMs > ABANDONED_AFTER_MS) {
      await rm(folder, { recursive: true, force: true });
    }
    return 'nothing';
  }
  if (isAlive(record.owner)) return 'runs';
  await endProcesses(await realpath(folder), record);
  await rm(folder, { recursive: true, force: true });
  return 'ended';
}

async function endProcesses(folder: string, record: FleetRecord): Promise<void> {
  const deadline = performance.now() + END_WAIT_MS;
  for (;;) {
    const recorded = [...Object.values(record.processes), ...(await businessesIn(folder))];
    const left = [...recorded.filter(isAlive), ...processesWithEnv(FLEET_MARK, folder)];
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      const pids = left.map(({ pid }) => pid).join(', ');
      throw new ChangeoverError('StopFailed', `These processes of ${folder} cannot be ended: ${pids}.`);
    }
    for (const { pid } of left) signal(pid, 'SIGKILL');
    await delay(20);
  }
}

/** What agents wrote down about the software that they started: it does not end with an agent that was killed. */
async function businessesIn(folder: string): Promise<ProcessIdentity[]> {
  const servers = await readdir(join(folder, 'servers')).catch(() => []);
  const found = await Promise.all(
    servers.map(async (server) => {
      const file = join(folder, 'servers', server, 'agent', 'process.json');
      const text = await readFile(file, 'utf8').catch(() => 'null');
      return identitySchema.safeParse(JSON.parse(text)).data;
    }),
  );
  return found.filter((identity) => identity !== undefined);
}

async function readRecord(folder: string): Promise<FleetRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(join(folder, RECORD), 'utf8')));
  } catch {
    return undefined;
  }
}
