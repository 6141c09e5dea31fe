import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { z } from 'zod';
import { ChangeoverError } from '../domain/errors.ts';
import { UPGRADE_STEPS, upgradeRequestSchema, type UpgradeRequest } from '../protocol/agent.ts';
import { errorBodySchema } from '../protocol/errors.ts';
import { createExclusive } from './exclusive.ts';

const upgradeRecordSchema = z.object({
  request: upgradeRequestSchema,
  state: z.enum(['running', 'done', 'failed']),
  step: z.enum(UPGRADE_STEPS),
  startedAt: z.string(),
  finishedAt: z.string().exactOptional(),
  error: errorBodySchema.exactOptional(),
  /** The upgrade failed with this, and the release that was good before is being put back. */
  restoring: errorBodySchema.exactOptional(),
  notes: z.array(z.string()),
});
export type UpgradeRecord = z.infer<typeof upgradeRecordSchema>;

const journalSchema = z.object({
  /** The highest fence seen. */
  fence: z.int().nonnegative(),
  /** Keys seen, oldest first: a late repetition of one that is over must change nothing (invariant 4). */
  keys: z.array(z.string()),
  /** Folder name of the release to put back when a start fails; null: there was none. */
  good: z.string().nullable(),
  upgrade: upgradeRecordSchema.nullable(),
  /** A newer caller's request, taken up after the present step. */
  pending: upgradeRequestSchema.nullable(),
});
export type JournalState = z.infer<typeof journalSchema>;

const EMPTY: JournalState = { fence: 0, keys: [], good: null, upgrade: null, pending: null };
const KEYS_KEPT = 500;

/**
 * What the agent has to know after it was killed. Written in one go: a server is out of traffic meanwhile, and each turn
 * of a busy machine costs as long as the disk. `state` is what is on the disk: nobody is told of anything that a kill
 * could undo. A change is computed from the state that it follows, and is on the disk when the call returns.
 */
export interface Journal {
  readonly state: JournalState;
  update(change: (state: JournalState) => Partial<JournalState>): Promise<void>;
  /** The same for the upgrade; without one nothing changes. */
  updateUpgrade(change: (upgrade: UpgradeRecord) => UpgradeRecord): Promise<void>;
  /** The upgrade is at this step. */
  reach(step: UpgradeRecord['step']): Promise<void>;
  /** Resolves when `state` changes next. */
  nextChange(): Promise<void>;
}

/**
 * Steps that may be repeated from `stopping` on. A server is out of traffic meanwhile, and waiting for the disk at each
 * of them would take longer than the step: a note that outlives a kill will do. After a power cut nothing runs, and the
 * upgrade goes on from the step that is on the disk.
 */
const NOTED: readonly UpgradeRecord['step'][] = ['switching', 'starting', 'waitingForHealth'];
const noteSchema = z.object({ key: z.string(), step: z.enum(UPGRADE_STEPS) });

/** @throws ChangeoverError `Internal` if the journal on disk cannot be understood: nothing is guessed then. */
export async function openJournal(stateDir: string): Promise<Journal> {
  await mkdir(stateDir, { recursive: true });
  const path = join(stateDir, 'journal.json');
  const notePath = join(stateDir, 'step.json');
  const inTurn = createExclusive();
  let state = withNote(await readJournal(path), await readNote(notePath));
  const waiting: (() => void)[] = [];

  const become = (next: JournalState): void => {
    state = next;
    for (const wake of waiting.splice(0)) wake();
  };
  const update: Journal['update'] = (change) =>
    inTurn(async () => {
      const next = { ...state, ...change(state) };
      writeFileAtomic.sync(path, `${JSON.stringify(next, undefined, 2)}\n`, { mode: 0o600 });
      become(next);
    });
  const updateUpgrade: Journal['updateUpgrade'] = (change) =>
    update(({ upgrade }) => ({ upgrade: upgrade && change(upgrade) }));
  return {
    get state() {
      return state;
    },
    update,
    updateUpgrade,
    reach: async (step) => {
      if (!NOTED.includes(step)) return updateUpgrade((upgrade) => ({ ...upgrade, step }));
      await inTurn(async () => {
        const { upgrade } = state;
        if (upgrade === null) return;
        const note: z.infer<typeof noteSchema> = { key: upgrade.request.key, step };
        writeFileAtomic.sync(notePath, JSON.stringify(note), { mode: 0o600, fsync: false });
        become({ ...state, upgrade: { ...upgrade, step } });
      });
    },
    nextChange: () => new Promise((resolve) => waiting.push(resolve)),
  };
}

/** A note that is unreadable (a power cut) or of another upgrade says nothing. */
async function readNote(path: string): Promise<z.infer<typeof noteSchema> | undefined> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

function withNote(state: JournalState, note: z.infer<typeof noteSchema> | undefined): JournalState {
  const { upgrade } = state;
  if (upgrade === null || note?.key !== upgrade.request.key) return state;
  if (UPGRADE_STEPS.indexOf(note.step) <= UPGRADE_STEPS.indexOf(upgrade.step)) return state;
  return { ...state, upgrade: { ...upgrade, step: note.step } };
}

async function readJournal(path: string): Promise<JournalState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return EMPTY;
    throw error;
  }
  try {
    return journalSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ChangeoverError(
      'Internal',
      `${path} cannot be understood. Look which release really runs, then move the file away and start the agent again.`,
      { cause },
    );
  }
}

export function newRecord(
  request: UpgradeRequest,
  { step, at }: { step: UpgradeRecord['step']; at: Date },
): UpgradeRecord {
  return { request, state: 'running', step, startedAt: at.toISOString(), notes: [] };
}

export function withKey(keys: readonly string[], key: string): string[] {
  return [...keys.filter((known) => known !== key), key].slice(-KEYS_KEPT);
}
