import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';

const ownerSchema = z.object({ pid: z.int().positive(), started: z.string().nullable() });
type Owner = z.infer<typeof ownerSchema>;

/** How often a stale lock is cleared away before giving up; more than once only if others do the same just now. */
const ATTEMPTS = 5;

/**
 * Keeps a second controller off a state folder, with a file that names the owning process. The file of a process that
 * is gone (killed, or its id given to another since) is cleared away.
 *
 * @throws ChangeoverError `Internal` naming the process that has it.
 */
export async function lockStateDir(stateDir: string): Promise<AsyncDisposable> {
  await mkdir(stateDir, { recursive: true });
  const path = join(stateDir, 'controller.lock');
  const own: Owner = { pid: process.pid, started: await startOf(process.pid) };
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, JSON.stringify(own));
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linked(draft, path)) return { [Symbol.asyncDispose]: () => removed(path) };
      const owner = await ownerOf(path);
      if (owner !== undefined && (await runs(owner))) throw taken(stateDir, owner);
      await removed(path);
    }
  } finally {
    await removed(draft);
  }
  throw new ChangeoverError(
    'Internal',
    `The lock file ${path} cannot be taken; remove it if no controller runs.`,
  );
}

function taken(stateDir: string, { pid }: Owner): ChangeoverError {
  return new ChangeoverError(
    'Internal',
    `Another controller (process ${pid}) uses the state folder ${stateDir}; stop it, or choose another folder.`,
  );
}

/** A hard link is made whole or not at all, unlike a file that is created first and written then. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function ownerOf(path: string): Promise<Owner | undefined> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (isCode(error, 'ENOENT') || error instanceof SyntaxError || error instanceof z.ZodError)
      return undefined;
    throw error;
  }
}

async function runs({ pid, started }: Owner): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isCode(error, 'EPERM');
  }
  // In a container a process gets the same id at each start, so that the id alone says little.
  return started === null || started === (await startOf(pid));
}

/** Start time of a process in ticks since boot (proc_pid_stat(5), field 22); null where the OS does not say. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and brackets; field 3 follows its last bracket.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

async function removed(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error;
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
