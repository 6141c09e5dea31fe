import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newRecord, openJournal } from '../../src/agent/journal.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'changeover-journal-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the journal of an agent', () => {
  it('says only what is on the disk: nothing that a kill could undo', async () => {
    const journal = await openJournal(dir);
    const written = journal.update(() => ({ fence: 7 }));
    expect(journal.state.fence).toBe(0);
    await written;
    expect(journal.state.fence).toBe(7);
    expect((await openJournal(dir)).state.fence).toBe(7);
  });

  it('loses no change of several at once', async () => {
    const journal = await openJournal(dir);
    const names = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    await Promise.all(names.map((name) => journal.update(({ keys }) => ({ keys: [...keys, name] }))));
    expect((await openJournal(dir)).state.keys).toEqual(names);
  });

  it('knows the step that an upgrade reached after a kill, and the one before the changes after a power cut', async () => {
    const journal = await openJournal(dir);
    const params = {
      path: '/packages',
      fileName: 'a.tgz',
      version: '2.0',
      os: 'linux',
      sha256: '0'.repeat(64),
    } as const;
    const request = { key: 'upgrade-1/3', fence: 1, service: 'wealth', params };
    await journal.update(() => ({ upgrade: newRecord(request, { step: 'fetching', at: new Date() }) }));
    for (const step of ['stopping', 'switching', 'starting'] as const) await journal.reach(step);
    expect((await openJournal(dir)).state.upgrade?.step).toBe('starting');
    await writeFile(join(dir, 'step.json'), '');
    expect((await openJournal(dir)).state.upgrade?.step).toBe('stopping');
  });

  it('guesses nothing where it cannot be understood', async () => {
    await writeFile(join(dir, 'journal.json'), '{"fence":');
    await expect(openJournal(dir)).rejects.toThrow(/cannot be understood/);
  });
});
