import type { Totals } from './evidence.ts';
import type { Block } from './block.ts';
import type { RuleSpec } from './rule-spec.ts';
import { allOf, formatCount } from './sentence.ts';

/** Below this share of the requests under trial nobody needs to know. */
const NEGLIGIBLE = 0.001;
/** Of √n: half the standard deviation of how many of n come to one of two versions. */
const BY_CHANCE = 0.25;

/**
 * Requests that gateways sent to another version because theirs had no server for them, where there are more than one in
 * a thousand. They are evidence for neither version (`isAllotted`).
 */
export function movedRemark(versions: readonly string[], base: Totals, totals: Totals): readonly string[] {
  const { went, share } = movedSince(versions, base, totals);
  if (!(share > NEGLIGIBLE)) return [];
  const where = allOf(went.map(({ version, count }) => `${formatCount(count)} to ${version}`));
  return [
    `Moved by failover: ${(share * 100).toFixed(1)} % of the requests (${where}), because the version that they were dealt to had no server for them. They count for neither, so that a version without servers looks no worse for it.`,
  ];
}

/** Whether so many were moved that numbers of accounts which are dealt by chance would tell: a few at the start are not. */
export function bendsSplit(versions: readonly string[], base: Totals, totals: Totals): boolean {
  const { all, dealt, share } = movedSince(versions, base, totals);
  return share > NEGLIGIBLE && all > BY_CHANCE * Math.sqrt(all + dealt);
}

function movedSince(versions: readonly string[], base: Totals, totals: Totals) {
  const since = (version: string, field: 'allocated' | 'moved'): number =>
    (totals[version]?.[field] ?? 0) - (base[version]?.[field] ?? 0);
  const moved = versions.map((version) => ({ version, count: since(version, 'moved') }));
  const went = moved.filter(({ count }) => count > 0);
  const all = went.reduce((sum, { count }) => sum + count, 0);
  const dealt = versions.reduce((sum, version) => sum + since(version, 'allocated'), 0);
  return { went, all, dealt, share: all / (all + dealt) };
}

/**
 * Marks blocks whose split cannot be checked. Accounts whose version had no server went elsewhere and never enter for it.
 * Who counts may tell how many those were (`passed`), and they belong to the split; where nobody does, it would look
 * wrong for ever after. What made them go is no matter of the split, so that a check which ends then has promised no less.
 */
export function uncheckedWhereMoved<B extends Block>(
  { unit }: Pick<RuleSpec, 'unit'>,
  blocks: readonly B[],
  isMoved: boolean,
): readonly B[] {
  if (unit === 'request' || !isMoved) return blocks;
  const isTold = ({ groups }: B): boolean =>
    Object.values(groups).every((arms) => Object.values(arms).every(({ passed }) => passed !== undefined));
  return blocks.map((block) => (isTold(block) ? block : { ...block, unchecked: true }));
}
