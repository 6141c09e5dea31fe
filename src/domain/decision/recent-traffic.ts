import type { Block } from './block.ts';

/** What came of late under one route table, by which it is said how long the rest takes. Plain JSON, of every rule's state. */
export interface RecentTraffic {
  readonly tableVersion?: number;
  /** The stretch of the last block. */
  readonly fromMs: number;
  readonly toMs: number;
  /** How long it took, in milliseconds; what is further back counts less, in time and units alike. */
  readonly ms: number;
  /** Version → units. */
  readonly units: Readonly<Record<string, number>>;
}

/** Units of each version from which on the rest may count less: by so many a rate is known to a tenth. */
const ENOUGH = 100;
const FADE = 0.9;
/** Units of a version below which nothing is said: by so many its rate is known to a fifth. */
const LEAST = 20;

/**
 * With one block more. A trial's first stretch says nothing of the traffic: in it the routes took effect, and outcomes
 * were waited for. Nor does one in which the routes changed, for nobody knows what part of it is whose.
 */
export function withBlock(
  before: RecentTraffic | undefined,
  { fromMs, toMs, tableVersion }: Pick<Block, 'fromMs' | 'toMs' | 'tableVersion'>,
  units: Readonly<Record<string, number>>,
): RecentTraffic {
  const here = { ...(tableVersion === undefined ? {} : { tableVersion }), fromMs, toMs };
  const isOfOneTable = before?.tableVersion === tableVersion;
  // Blocks of one stretch: several tables, or a gateway that began to count anew.
  const isSameStretch = before?.fromMs === fromMs && before.toMs === toMs;
  if (fromMs === 0 || (isSameStretch && !isOfOneTable)) return { ...here, ms: 0, units: {} };
  if (before === undefined || !isOfOneTable) return { ...here, ms: toMs - fromMs, units };
  if (isSameStretch) return before.ms === 0 ? before : { ...before, units: sumOf(before.units, units) };
  const isEnough = Object.keys(units).every((version) => (before.units[version] ?? 0) >= ENOUGH);
  const weight = isEnough ? FADE : 1;
  return {
    ...here,
    ms: before.ms * weight + (toMs - fromMs),
    units: sumOf(before.units, units, weight),
  };
}

function sumOf(
  before: Readonly<Record<string, number>>,
  more: Readonly<Record<string, number>>,
  weight = 1,
): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const [version, n] of Object.entries(before)) sums[version] = n * weight;
  for (const [version, n] of Object.entries(more)) sums[version] = (sums[version] ?? 0) + n;
  return sums;
}

export interface PresentTraffic {
  /** Units of all versions. */
  readonly unitsPerMs: number;
  /** Version → its share of them. */
  readonly shares: Readonly<Record<string, number>>;
}

/** The traffic as it is now, where enough is known of each of these versions to say so. */
export function presentTraffic(
  recent: RecentTraffic | undefined,
  versions: readonly string[],
): PresentTraffic | undefined {
  if (recent === undefined || recent.ms <= 0) return undefined;
  const { ms, units } = recent;
  if (versions.some((version) => (units[version] ?? 0) < LEAST)) return undefined;
  const total = Object.values(units).reduce((sum, n) => sum + n, 0);
  if (total === 0) return undefined;
  const shares = Object.fromEntries(Object.entries(units).map(([version, n]) => [version, n / total]));
  return { unitsPerMs: total / ms, shares };
}
