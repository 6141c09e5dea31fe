import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { ChangeoverError } from '../domain/errors.ts';
import type { RouteTable } from '../domain/routes/table.ts';
import { DecisionNumbers } from './decision-numbers.ts';
import { filesIn, slotId, slotName } from './layout.ts';
import { lookupEntries, mapText, type StoredRoutes } from './map-files.ts';
import { assignSlots, type MapEntry, routeMap } from './route-map.ts';
import type { ServerRow } from './runtime-answers.ts';
import { addressOf, parseAddress, type ServerAddress } from './server-address.ts';
import { type ServerState, serverStateFile } from './server-states.ts';

/** What a table means for one HAProxy. */
export interface Target extends StoredRoutes {
  readonly table: RouteTable;
  readonly entries: readonly MapEntry[];
  /** HAProxy's servers as they were when it was made. */
  readonly rows: readonly ServerRow[];
  /** Of the table's servers, by name. */
  readonly addresses: ReadonlyMap<string, ServerAddress>;
}

/** @throws ChangeoverError `InvalidRequest` where the configuration lacks servers or slots. */
export function targetOf(table: RouteTable, rows: readonly ServerRow[], before: StoredRoutes): Target {
  const slotCount = slotCountOf(table.service, rows);
  if (slotCount === 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy has no backend ${slotName(table.service, 1)} with the id ${slotId(1)}; run \`changeover haproxy render\` for the plan of ${table.service} and reload it.`,
    );
  }
  const ids = serverIds(rows);
  const missing = table.servers.filter(({ name }) => !ids.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new ChangeoverError(
      'InvalidRequest',
      `HAProxy's configuration lacks the servers ${missing.join(', ')}; run \`changeover haproxy render\` for the plan and reload it.`,
    );
  }
  const slots = assignSlots(table, { before: before.slots, slots: slotCount });
  const numbers = new DecisionNumbers(before.decisions);
  const entries = routeMap(table, { slots, slotCount, serverIds: ids, decisions: numbers });
  return {
    table,
    slots,
    decisions: numbers.kept,
    entries,
    rows,
    addresses: new Map(table.servers.map(({ name, url }) => [name, addressOf(url)])),
  };
}

/** HAProxy's numbers of servers, by which maps and stick tables know them. */
export function serverIds(rows: readonly ServerRow[]): ReadonlyMap<string, number> {
  return new Map(rows.map(({ name, id }) => [name, id]));
}

/** Whether what is counted from now on is of another policy, or of another release in the same slot. */
export function isCountedAnew(before: Target | null, { slots }: Target): boolean {
  if (before === null || before.table.split !== null) return true;
  return [...before.slots].some(([release, slot]) => slots.get(release) !== slot);
}

/** Those of `rows` that are not as a table wants them, and how it does. */
export function differing(
  target: Target,
  rows: readonly ServerRow[],
): { row: ServerRow; state: ServerState }[] {
  const stateIn = stateBy(target);
  return rows
    .map((row) => ({ row, state: stateIn(row.backend, row.name) }))
    .filter(({ row, state }) => row.state !== state);
}

/** State of each server in each slot by a table. */
function stateBy({ table, slots }: Target): (backend: string, server: string) => ServerState {
  const homes = new Map(
    table.servers.map(({ name, release, ingress }) => {
      const state: ServerState = ingress === 'open' ? 'ready' : ingress === 'draining' ? 'drain' : 'maint';
      return [name, { backend: slotName(table.service, slots.get(release) ?? 0), state }];
    }),
  );
  return (backend, name) => {
    const home = homes.get(name);
    return home?.backend === backend ? home.state : 'maint';
  };
}

/** What HAProxy starts with from now on. The routes come last: they name the version of all. */
export async function writeTargetFiles(
  folder: string,
  target: Target,
  lookup: ReadonlyMap<string, string> | null,
): Promise<void> {
  const { rows, addresses } = target;
  const { service } = target.table;
  const files = filesIn(folder);
  await mkdir(folder, { recursive: true });
  const servers = rows
    .filter(({ backend }) => backend === slotName(service, 1))
    .map(({ id, name, address, tls }) => ({
      id,
      name,
      address: addresses.get(name) ?? { ...parseAddress(address), tls },
    }));
  const stateIn = stateBy(target);
  if (lookup !== null) writeWhereOther(files.lookup, mapText(lookupEntries(lookup)));
  writeWhereOther(files.servers, serverStateFile(service, slotCountOf(service, rows), servers, stateIn));
  writeWhereOther(files.routes, mapText(target.entries));
}

/** Most tables change no server and no lookup: to wait for the disk for each file is much of what a change takes. */
function writeWhereOther(path: string, text: string): void {
  if (contentOf(path) !== text) writeFileAtomic.sync(path, text);
}

/** Null where it cannot be read: then it is written. */
function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Slots from the first one on, of which none is missing. */
function slotCountOf(service: string, rows: readonly ServerRow[]): number {
  const backends = new Set(rows.map(({ backend }) => backend));
  let slots = 0;
  while (backends.has(slotName(service, slots + 1))) slots += 1;
  return slots;
}
