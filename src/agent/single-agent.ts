import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { identityOf, isAlive } from './os-process.ts';

const ownerSchema = z.object({ pid: z.int().positive(), started: z.string() });

/** State folders that agents of this very process hold. */
const heldHere = new Set<string>();

/**
 * Takes a state folder for one agent: two of them would start the software twice. A claim of a process that is gone is
 * void.
 *
 * @throws ChangeoverError `InvalidRequest` naming the process that holds it.
 */
export async function claimFolder(stateDir: string): Promise<{ release(): Promise<void> }> {
  await mkdir(stateDir, { recursive: true });
  const path = join(stateDir, 'agent.json');
  const owner = await readOwner(path);
  const heldElsewhere = owner !== undefined && owner.pid !== process.pid && isAlive(owner);
  if (heldHere.has(stateDir) || heldElsewhere) {
    throw new ChangeoverError(
      'InvalidRequest',
      `Another agent (process ${owner?.pid ?? process.pid}) manages ${stateDir}. Stop it, or give this one its own folder.`,
    );
  }
  heldHere.add(stateDir);
  await writeFileAtomic(path, `${JSON.stringify(identityOf(process.pid))}\n`);
  return {
    release: async () => {
      heldHere.delete(stateDir);
      await rm(path, { force: true });
    },
  };
}

async function readOwner(path: string): Promise<z.infer<typeof ownerSchema> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : ownerSchema.safeParse(JSON.parse(text)).data;
}
