import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { slotId, slotName } from '../../src/haproxy/layout.ts';
import type { ServerRow } from '../../src/haproxy/runtime-answers.ts';
import { targetOf, writeTargetFiles } from '../../src/haproxy/target.ts';
import { SERVICE, serverOf, tableOf } from '../gateway/support/gateway-fixture.ts';

const ROWS = [1, 2].flatMap((slot) =>
  ['one', 'two'].map((name, index): ServerRow => {
    const address = `127.0.0.1:${9_001 + index}`;
    const backend = slotName(SERVICE, slot);
    return { backend, backendId: slotId(slot), name, id: index + 1, address, tls: false, state: 'maint' };
  }),
);
const OPEN = ['one', 'two'].map((name, index) =>
  serverOf({ name, url: `http://127.0.0.1:${9_001 + index}` }),
);
const LOOKUP = new Map([['anna', '37']]);

it('files that HAProxy starts with are written where they are not as they have to be, and only there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'target-'));
  try {
    const write = (table: RouteTable, lookup = LOOKUP): Promise<void> =>
      writeTargetFiles(folder, targetOf(table, ROWS, { slots: new Map(), decisions: new Map() }), lookup);
    const names = ['routes.map', 'servers.state', 'lookup.map'];
    // Each file that is written is another one: it is put in the place of the one before.
    const files = async (): Promise<number[]> =>
      Promise.all(names.map(async (name) => (await stat(join(folder, name))).ino));
    const changed = async (change: () => Promise<void>): Promise<string[]> => {
      const before = await files();
      await change();
      const after = await files();
      return names.filter((_, index) => before[index] !== after[index]);
    };
    await write(tableOf(OPEN));
    expect(await changed(() => write(tableOf(OPEN)))).toEqual([]);
    expect(await changed(() => write(tableOf(OPEN, { version: 2 })))).toEqual(['routes.map']);
    const closed = OPEN.map((server) => ({ ...server, ingress: 'closed' as const }));
    expect(await changed(() => write(tableOf(closed, { version: 3 })))).toEqual([
      'routes.map',
      'servers.state',
    ]);
    expect(await changed(() => write(tableOf(closed, { version: 3 }), new Map()))).toEqual(['lookup.map']);
    await writeFile(join(folder, 'servers.state'), '1\n');
    expect(await changed(() => write(tableOf(closed, { version: 3 }), new Map()))).toEqual(['servers.state']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
