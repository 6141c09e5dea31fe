import type { AnyVerdict } from '../upgrade/results.ts';
import type { RuleVerdict } from './rule-verdict.ts';
import { formatEvidence } from './rule-words.ts';

/** How far a rule's evidence is, for a display that is drawn again and again. */
export interface EvidenceLine {
  /** `2.0-a is better than 1.4`. */
  readonly claim: string;
  /** Of the way to the threshold, 0..1, on the scale on which evidence grows evenly with traffic. */
  readonly progress: number;
  /** `12 of 40 needed`. */
  readonly text: string;
}

/** None for rules that have no evidence before their end, and for verdicts recorded before rules had any. */
export function evidenceLines(verdict: AnyVerdict | null): readonly EvidenceLine[] {
  if (verdict === null || !isOfRule(verdict)) return [];
  return verdict.comparisons.map((comparison) => {
    const { better, than, margin, evidence, threshold } = comparison;
    return {
      claim:
        margin === 0
          ? `${better} is better than ${than}`
          : `${better} is not worse than ${than} by more than the margin`,
      progress: Math.min(1, Math.max(0, evidence / threshold)),
      text: `${formatEvidence(evidence)} of ${formatEvidence(threshold)} needed`,
    };
  });
}

export function isOfRule(verdict: AnyVerdict): verdict is RuleVerdict {
  return 'comparisons' in verdict;
}
