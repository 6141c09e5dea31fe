import { readFile } from 'node:fs/promises';
import { encodedOctets, SLOT_BASE } from './layout.ts';
import type { MapEntry } from './route-map.ts';

/** Which release has which slot, by the file that HAProxy would start with. */
export async function storedSlots(routesFile: string): Promise<Map<string, number>> {
  const slots = new Map<string, number>();
  const text = await readFile(routesFile, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const [key = '', value = '-'] = line.split(' ');
    const slot = /^\d+$/.test(key) ? Number(BigInt(key) - SLOT_BASE) : 0;
    if (slot > 0 && slot < 1_000 && value !== '-') slots.set(decodeURIComponent(value), slot);
  }
  return slots;
}

export function lookupEntries(values: ReadonlyMap<string, string>): MapEntry[] {
  return [...values].map(([key, value]): MapEntry => [encodedOctets(key), encodedOctets(value)]);
}

export function mapText(entries: readonly MapEntry[]): string {
  return entries.map(([key, value]) => `${key} ${value}\n`).join('');
}
