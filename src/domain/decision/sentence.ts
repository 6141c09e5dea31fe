import type { VolumeKind } from '../measure.ts';
import type { ArmEfficacy } from './decision.ts';
import { compareRatios } from './ratio.ts';

/** Numbers and clauses of a verdict's sentence, the same on every machine whatever its locale. */

/** `12345` → `12,345`. */
export function formatCount(value: number): string {
  return grouped(value, 0);
}

/** With marks between thousands. */
export function grouped(value: number, decimals: number): string {
  const [whole = '', fraction] = value.toFixed(decimals).split('.');
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}

const MAX_DECIMALS = 6;

/** An efficacy for a person: `80.4 %`, or for amounts `12.22 per request` (or account). */
export function formatEfficacy(
  efficacy: number,
  volume: VolumeKind,
  { moreDecimals = 0, unit = 'request' }: { moreDecimals?: number; unit?: 'request' | 'account' } = {},
): string {
  return volume === 'amount'
    ? `${grouped(efficacy, 2 + moreDecimals)} per ${unit}`
    : `${grouped(efficacy * 100, 1 + moreDecimals)} %`;
}

/**
 * One clause per arm: `2.0-a: 812 successes of 1,010 allocated = 80.4 %`. Efficacies that differ are shown with as
 * many decimals as it takes to see it.
 */
export function describeArms(arms: readonly ArmEfficacy[], volume: VolumeKind): string {
  const moreDecimals = decimalsToTell(arms, volume);
  return arms.map((arm) => describeArm(arm, volume, moreDecimals)).join('; ');
}

function describeArm(arm: ArmEfficacy, kind: VolumeKind, moreDecimals: number): string {
  const name = arm.role === 'baseline' ? `${arm.version} (baseline)` : arm.version;
  const pulled = arm.pulled === undefined ? '' : ` (pulled: ${arm.pulled})`;
  if (arm.efficacy === null) return `${name}: nothing allocated${pulled}`;
  const efficacy = formatEfficacy(arm.efficacy, kind, { moreDecimals });
  const requests = `${formatCount(arm.allocated)} allocated`;
  if (kind === 'amount') {
    return `${name}: ${grouped(arm.volume, 2)} over ${requests} = ${efficacy}${pulled}`;
  }
  return `${name}: ${formatCount(arm.volume)} ${counted(arm.volume, kind)} of ${requests} = ${efficacy}${pulled}`;
}

const ONE = { successes: 'success', trades: 'trade', clicks: 'click' } as const;

function counted(volume: number, kind: Exclude<VolumeKind, 'amount'>): string {
  return volume === 1 ? ONE[kind] : kind;
}

/** How many more decimals than `formatEfficacy` shows it takes, from `least`, to see that efficacies differ. */
export function decimalsToTell(
  arms: readonly Pick<ArmEfficacy, 'allocated' | 'volume' | 'efficacy'>[],
  volume: VolumeKind,
  least = 0,
): number {
  const known = arms.filter((arm) => arm.efficacy !== null);
  const distinct = known.filter(
    (arm, index) => known.findIndex((other) => compareRatios(other, arm) === 0) === index,
  );
  for (let more = least; more < MAX_DECIMALS; more += 1) {
    const shown = new Set(
      distinct.map((arm) => formatEfficacy(arm.efficacy ?? 0, volume, { moreDecimals: more })),
    );
    if (shown.size === distinct.length) return more;
  }
  return MAX_DECIMALS;
}

/** `a`, `a and b`, `a, b and c`. */
export function allOf(words: readonly string[]): string {
  if (words.length <= 1) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}
