import type { VolumeKind } from '../measure.ts';

/** What one version got and what became of it, since the trial began. */
export interface ArmEvidence {
  readonly version: string;
  readonly role: 'baseline' | 'candidate';
  /** Allocated traffic: requests that the plan counts as allocated. */
  readonly allocated: number;
  /** Transaction volume: count, or sum of amounts. */
  readonly volume: number;
  /** The same as it was capped unit by unit and divided by the cap, and its squares, where a source tells them. */
  readonly capped?: { readonly sum: number; readonly squares: number };
  /** Pulled during the trial, with the reason. */
  readonly pulled?: string;
}

/** The same, with the ratio. `efficacy` is null where nothing was allocated: no data is never 0. */
export interface ArmEfficacy extends ArmEvidence {
  readonly efficacy: number | null;
}

export interface DecisionRule {
  readonly rule: 'max-efficacy';
  readonly volume: VolumeKind;
  /** What is counted; by default requests. */
  readonly unit?: 'request' | 'account';
  /** Allocated requests (or accounts) that every remaining arm needs before anything is decided. */
  readonly minSamples: number;
  /** Whether a candidate has to beat the baseline (there is a baseline share). */
  readonly beatBaseline: boolean;
}

interface VerdictBase {
  readonly arms: readonly ArmEfficacy[];
  /** One sentence for a person: what was compared, the numbers, what is missing. */
  readonly sentence: string;
}

/** What the evidence says. `collecting` while the trial runs; the others end it, or await the operator. */
export type Verdict =
  | (VerdictBase & { readonly kind: 'collecting' })
  | (VerdictBase & { readonly kind: 'winner'; readonly winner: string })
  | (VerdictBase & { readonly kind: 'inconclusive'; readonly reason: 'noData' | 'tooFewSamples' | 'tie' })
  | (VerdictBase & { readonly kind: 'keepBaseline' })
  | (VerdictBase & { readonly kind: 'pulled' });
