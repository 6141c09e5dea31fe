import { link, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { identityOf, isAlive } from './os-process.ts';

const ownerSchema = z.object({ pid: z.int().positive(), started: z.string() });

/** Claims are numbered; the highest counts. */
const CLAIM_FILE = /^agent\.(\d{1,15})\.json$/;

/** State folders that agents of this very process hold. */
const heldHere = new Set<string>();

/**
 * Takes a state folder for one agent: two of them would start the software twice. A claim of a process that is gone is
 * void, and followed by one with the next number: of agents that start at once, one can make that.
 *
 * @throws ChangeoverError `InvalidRequest` naming the process that holds it.
 */
export async function claimFolder(stateDir: string): Promise<{ release(): Promise<void> }> {
  if (heldHere.has(stateDir)) throw taken(stateDir, process.pid);
  heldHere.add(stateDir);
  try {
    await mkdir(stateDir, { recursive: true });
    const path = await claim(stateDir);
    return {
      release: async () => {
        // Void, not removed: the same number again would let somebody in who looked before.
        await writeFileAtomic(path, 'null\n');
        heldHere.delete(stateDir);
      },
    };
  } catch (error) {
    heldHere.delete(stateDir);
    throw error;
  }
}

async function claim(stateDir: string): Promise<string> {
  const draft = join(stateDir, `agent-claim.${process.pid}`);
  await writeFile(draft, `${JSON.stringify(identityOf(process.pid))}\n`);
  try {
    for (;;) {
      const before = await claimsIn(stateDir);
      const highest = before.at(-1) ?? 0;
      const owner = await readOwner(pathOf(stateDir, highest));
      if (owner !== undefined && owner.pid !== process.pid && isAlive(owner))
        throw taken(stateDir, owner.pid);
      const own = pathOf(stateDir, highest + 1);
      if (!(await linked(draft, own))) continue;
      // Somebody may have come and gone since the folder was read.
      if ((await claimsIn(stateDir)).at(-1) === highest + 1) {
        await Promise.all(before.map((number) => rm(pathOf(stateDir, number), { force: true })));
        return own;
      }
      await rm(own, { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

function pathOf(stateDir: string, number: number): string {
  return join(stateDir, `agent.${number}.json`);
}

/** Numbers of the claims, in order. */
async function claimsIn(stateDir: string): Promise<number[]> {
  const files = await readdir(stateDir);
  return files.flatMap((file) => CLAIM_FILE.exec(file)?.slice(1).map(Number) ?? []).sort((a, b) => a - b);
}

/** A hard link is made whole or not at all, unlike a file that is created first and written then. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function taken(stateDir: string, pid: number): ChangeoverError {
  return new ChangeoverError(
    'InvalidRequest',
    `Another agent (process ${pid}) manages ${stateDir}. Stop it, or give this one its own folder.`,
  );
}

async function readOwner(path: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : ownerSchema.safeParse(JSON.parse(text)).data;
}
