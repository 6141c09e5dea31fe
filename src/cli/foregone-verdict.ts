import { formatDuration } from '../domain/duration.ts';
import { EVERYONE } from '../domain/decision/block.ts';
import { judge } from '../domain/decision/judge.ts';
import { beginRule, observe } from '../domain/decision/rule.ts';
import type { RuleSpec } from '../domain/decision/rule-spec.ts';
import { formatCount } from '../domain/decision/sentence.ts';

/**
 * What a trial ends with whatever the versions do: nothing is compared where one is alone, or where groups of customers
 * are. Undefined where it depends on the numbers.
 */
export function foregoneVerdict(spec: RuleSpec, horizonMs: number): string | undefined {
  if (spec.arms.length > 1 && spec.comparison !== 'segment') return undefined;
  const n = unitsNeeded(spec);
  const arms = Object.fromEntries(spec.arms.map(({ version }) => [version, { n, sum: 0, squares: 0 }]));
  const block = { fromMs: 0, toMs: horizonMs, groups: { [EVERYONE]: arms } };
  const verdict = judge(spec, observe(spec, beginRule(spec), block), true);
  const end = formatDuration(horizonMs);
  const each = `${formatCount(n)} ${spec.unit}s`;
  if (verdict.kind === 'winner') {
    const when = {
      anytime: `at the end of the trial, after ${end}`,
      'max-efficacy': `at the end of the trial, after ${end}, if it has ${each} by then`,
      'fixed-sample': `as soon as it has ${each}, if it has them within ${end}`,
    }[spec.rule];
    return `No other version competes: ${verdict.winner} wins ${when}, unless a guardrail pulls it.`;
  }
  const when = spec.rule === 'fixed-sample' ? `with ${each} of each, or after ${end}` : `after ${end}`;
  return `No winner is named by itself, for groups of customers are compared: the trial ends ${when}, and the operator is asked.`;
}

function unitsNeeded(spec: RuleSpec): number {
  switch (spec.rule) {
    case 'anytime':
      return 1;
    case 'max-efficacy':
      return spec.minSamples;
    case 'fixed-sample':
      return spec.unitsPerArm;
  }
}
