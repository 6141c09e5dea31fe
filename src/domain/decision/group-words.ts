import { isBounded, type RuleSpec } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';
import { formatVolume } from './rule-words.ts';
import { formatCount, formatEfficacy } from './sentence.ts';

/** Groups of customers in words. */

/** How a plan whose groups have a version each would be written so that its versions can be compared. */
export function splitInsideGroups({ arms }: Pick<RuleSpec, 'arms'>): string {
  const weights = arms
    .filter(({ role }, _, all) => role === 'candidate' || all.length === 2)
    .map(({ version }) => `${version}: 50`)
    .join(', ');
  return `A random split inside each group would compare the versions themselves, group by group: in the rules of traffic.policy write \`to: { ${weights} }\` in place of one version.`;
}

/** Groups that are written out. */
const SHOWN = 8;

/** Each group's own numbers, which the evidence adds up: one note for each, as far as a person would read. */
export function describeGroups(spec: RuleSpec, { sums }: Pick<RuleState, 'sums'>): readonly string[] {
  const groups = Object.entries(sums);
  const scale = isBounded(spec) ? (spec.cap ?? 1) : 1;
  const kind = spec.volume === 'clicks' ? 'amount' : spec.volume;
  const notes = groups.slice(0, SHOWN).map(([group, arms]) => {
    const each = spec.arms.map(({ version }) => {
      const { n, sum } = arms[version] ?? { n: 0, sum: 0 };
      if (n === 0) return `${version} none`;
      const efficacy = formatEfficacy((sum * scale) / n, kind, 1);
      return `${version} ${formatVolume(sum * scale)} of ${formatCount(n)} = ${efficacy}`;
    });
    return `Group ${group}: ${each.join(', ')}.`;
  });
  const more = groups.length - SHOWN;
  return more > 0 ? [...notes, `${more} more group${more === 1 ? '' : 's'}.`] : notes;
}
