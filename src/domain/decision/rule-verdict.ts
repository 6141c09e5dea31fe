import type { Arm } from './rule-spec.ts';
import type { Interval } from './statistics/interval.ts';

/** One version in a verdict, with all that a person may want to see of it. */
export interface ArmNumbers extends Arm {
  /** Units that count: requests or accounts. */
  readonly units: number;
  /** Outcomes; for amounts and clicks capped, in the unit they came in. */
  readonly volume: number;
  /** The same before capping, where it is known. */
  readonly uncapped?: number;
  /** volume ÷ units; null where nothing was assigned. */
  readonly efficacy: number | null;
  /** Where the efficacy lies with 95 %; by `anytime` for shares at all looks together. */
  readonly interval: Interval | null;
  /** Why it is out of the race. */
  readonly out?: { readonly why: 'dropped' | 'pulled'; readonly reason: string };
}

/** What was asked of a pair, and how far it is. */
export interface Comparison {
  readonly better: string;
  readonly than: string;
  /** 0: strictly better; −0.01: at most 0.01 worse. In outcomes between 0 and 1. */
  readonly margin: number;
  /** Natural logarithm of the evidence, and what it has to reach; for `fixed-sample` −ln p of the one look. */
  readonly evidence: number;
  readonly threshold: number;
}

/** What is still to come, if the efficacies stay as they are. */
export interface Missing {
  /** Units over all versions, for `max-efficacy` over the candidates; 0 where all is shown, null where nobody can say. */
  readonly units: number | null;
  /** For these units, at the traffic of late; null where that is not known. */
  readonly ms: number | null;
  /** What a decision waits for, whatever is shown, by the rule's clock: absent where it waits for nothing. */
  readonly until?: {
    readonly by: 'minDuration' | 'everyFull';
    readonly lengthMs: number;
    /** Since the trial began, and from now on. */
    readonly atMs: number;
    readonly inMs: number;
  };
}

interface VerdictBase {
  readonly rule: 'anytime' | 'max-efficacy' | 'fixed-sample';
  readonly arms: readonly ArmNumbers[];
  readonly comparisons: readonly Comparison[];
  /** Null where nothing is missing, or nobody can say. */
  readonly missing: Missing | null;
  /** One sentence for a person. */
  readonly sentence: string;
  /** What the verdict rests on or may not claim, each a sentence. */
  readonly notes: readonly string[];
}

export type InconclusiveReason =
  'deadline' | 'noData' | 'tooFewSamples' | 'tie' | 'notSignificant' | 'observational';

/** What the evidence says. `collecting` goes on; each of the others ends the trial, or awaits the operator. */
export type RuleVerdict =
  | (VerdictBase & { readonly kind: 'collecting' })
  | (VerdictBase & { readonly kind: 'winner'; readonly winner: string })
  /** No difference worth acting on; `keep` is what to stay with. */
  | (VerdictBase & { readonly kind: 'equivalent'; readonly among: readonly string[]; readonly keep: string })
  | (VerdictBase & {
      readonly kind: 'inconclusive';
      readonly reason: InconclusiveReason;
      readonly leader: string | null;
    })
  | (VerdictBase & { readonly kind: 'keepBaseline'; readonly baseline: string })
  | (VerdictBase & { readonly kind: 'pulled' })
  | (VerdictBase & { readonly kind: 'untrustedData'; readonly reason: 'sampleRatio' | 'aaDifference' });
