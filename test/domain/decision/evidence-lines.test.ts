import { expect, test } from 'vitest';
import { assess } from '../../../src/domain/decision/assess.ts';
import { evidenceLines } from '../../../src/domain/decision/evidence-lines.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import type { RuleSpec } from '../../../src/domain/decision/rule-spec.ts';
import { NO_BLOCKS } from '../../../src/domain/decision/rule-state.ts';
import type { RuleVerdict } from '../../../src/domain/decision/rule-verdict.ts';

const SPEC = {
  rule: 'max-efficacy',
  arms: [{ version: '2.0-a', role: 'candidate' }],
  ...{ volume: 'successes', comparison: 'random', unit: 'request', minSamples: 1 },
} as const satisfies RuleSpec;

/** What a rule with evidence says beside a comparison: `evidence` times as likely, `needed` of which are enough. */
function lineOf(evidence: number, { margin = 0, needed = 40 } = {}) {
  const [better, than] = ['2.0-a', '1.4'] as const;
  const verdict: RuleVerdict = {
    ...judge(SPEC, NO_BLOCKS),
    comparisons: [{ better, than, margin, evidence: Math.log(evidence), threshold: Math.log(needed) }],
  };
  return evidenceLines(verdict)[0];
}

test('evidence fills its bar on the scale on which it grows evenly, and no further than full', () => {
  expect(lineOf(40)).toEqual({ claim: '2.0-a is better than 1.4', progress: 1, text: '40 of 40 needed' });
  expect(lineOf(6.3246)?.progress).toBeCloseTo(0.5);
  expect(lineOf(1)).toMatchObject({ progress: 0, text: '1.0 of 40 needed' });
  expect(lineOf(0.2)).toMatchObject({ progress: 0, text: '0.2 of 40 needed' });
  expect(lineOf(1e9)).toMatchObject({ progress: 1, text: 'more than a million of 40 needed' });
});

test('a claim with a margin is told as such', () => {
  expect(lineOf(2, { margin: -0.01 })?.claim).toBe('2.0-a is not worse than 1.4 by more than the margin');
});

test('there are no lines without a verdict, of a rule without evidence, and of a verdict from before rules had any', () => {
  expect(evidenceLines(null)).toEqual([]);
  expect(evidenceLines(judge(SPEC, NO_BLOCKS))).toEqual([]);
  const rule = { rule: 'max-efficacy', volume: 'successes', minSamples: 1, beatBaseline: false } as const;
  expect(evidenceLines(assess(rule, [], 'during'))).toEqual([]);
});
