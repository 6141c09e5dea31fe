import { readFile } from 'node:fs/promises';
import { DECISION_BASE, encodedOctets, GO, SLOT_BASE } from './layout.ts';
import type { MapEntry } from './route-map.ts';

/** What the routes map has of tables before. */
export interface StoredRoutes {
  /** Slot of each release. */
  readonly slots: ReadonlyMap<string, number>;
  /** Number of each decision, the oldest first. */
  readonly decisions: ReadonlyMap<string, number>;
}

/** By the file that HAProxy would start with. */
export async function storedRoutes(routesFile: string): Promise<StoredRoutes> {
  const slots = new Map<string, number>();
  const decisions = new Map<string, number>();
  const text = await readFile(routesFile, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [key = '', value = '-'] = line.split(' ');
    if (!/^\d+$/.test(key)) continue;
    const slot = Number(BigInt(key) - SLOT_BASE);
    if (slot > 0 && slot < 1_000 && value !== '-') slots.set(decodeURIComponent(value), slot);
    const decision = Number(BigInt(key) - DECISION_BASE);
    if (decision >= 0 && decision <= GO.number) decisions.set(value, decision);
  }
  return { slots, decisions };
}

export function lookupEntries(values: ReadonlyMap<string, string>): MapEntry[] {
  return [...values].map(([key, value]): MapEntry => [encodedOctets(key), encodedOctets(value)]);
}

export function mapText(entries: readonly MapEntry[]): string {
  return entries.map(([key, value]) => `${key} ${value}\n`).join('');
}
