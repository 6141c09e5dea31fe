import { EVERYONE } from './block.ts';
import { isBounded, type RuleSpec } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';
import { formatVolume } from './rule-words.ts';
import { formatCount, formatEfficacy } from './sentence.ts';

/** Groups of customers in words. */

/** How a plan whose groups have a version each would be written so that its versions can be compared. */
export function splitInsideGroups({ arms }: Pick<RuleSpec, 'arms'>): string {
  const weights = arms
    .filter(({ role }, _, all) => role === 'candidate' || all.length === 2)
    .map(({ version }, _, all) => `${version}: ${all.length === 1 ? 100 : 50}`)
    .join(', ');
  // One version alone is split from nobody: the baseline's share of each group is held back at random.
  const control = arms.length === 1 ? 'keep a baseline share (trial.baselineShare), and ' : '';
  return `A random split inside each group would compare the versions themselves, group by group: ${control}in the rules of traffic.policy write \`to: { ${weights} }\` in place of one version.`;
}

const COMPARED_BY_GROUP =
  'Accounts were dealt at random inside each group. Versions were compared group by group and the evidence added up; efficacies are averages over the groups, weighted by their size.';
const DEALT_ALIKE =
  'Accounts were dealt at random inside each group, alike in all of them, and are counted together.';

/** What is to be known where groups are dealt at random. */
export function groupNotes(spec: RuleSpec, state: Pick<RuleState, 'sums'>): readonly string[] {
  const names = Object.keys(state.sums);
  const isTogether =
    spec.rule === 'max-efficacy' || (names.length > 0 && names.every((name) => name === EVERYONE));
  return isTogether ? [DEALT_ALIKE] : [COMPARED_BY_GROUP, ...describeGroups(spec, state)];
}

/** Groups that are written out. */
const SHOWN = 8;

/** Each group's own numbers, which the evidence adds up: one note for each, as far as a person would read. */
function describeGroups(spec: RuleSpec, { sums }: Pick<RuleState, 'sums'>): readonly string[] {
  const groups = Object.entries(sums);
  const scale = isBounded(spec) ? (spec.cap ?? 1) : 1;
  const kind = spec.volume === 'clicks' ? 'amount' : spec.volume;
  const notes = groups.slice(0, SHOWN).map(([group, arms]) => {
    const each = spec.arms.map(({ version }) => {
      const { n, sum } = arms[version] ?? { n: 0, sum: 0 };
      if (n === 0) return `${version} none`;
      const efficacy = formatEfficacy((sum * scale) / n, kind, { moreDecimals: 1, unit: spec.unit });
      return `${version} ${formatVolume(sum * scale)} of ${formatCount(n)} = ${efficacy}`;
    });
    return `Group ${group}: ${each.join(', ')}.`;
  });
  const more = groups.length - SHOWN;
  return more > 0 ? [...notes, `${more} more group${more === 1 ? '' : 's'}.`] : notes;
}
