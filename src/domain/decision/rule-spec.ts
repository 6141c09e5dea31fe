import type { VolumeKind } from '../measure.ts';
import type { ArmEvidence } from './decision.ts';

export const RULES = ['anytime', 'max-efficacy', 'fixed-sample'] as const;

/** How customers came to the versions: what a comparison of them may claim. */
export const COMPARISONS = ['random', 'systematic', 'segment', 'stratified'] as const;
/**
 * `random`: by a salted hash. `systematic`: by a rule that has nothing to do with the customer, such as the last digit.
 * `segment`: by who the customer is (age, region, lists), so that groups are compared and not versions. `stratified`:
 * at random inside each such group.
 */
export type Comparison = (typeof COMPARISONS)[number];

export interface Arm {
  readonly version: string;
  /** A `baseline` arm is the control: it is there only where the plan keeps a baseline share. */
  readonly role: ArmEvidence['role'];
}

/**
 * Which units are compared with what, to see whether the split is what was asked for. Requests of one customer come
 * together, so that their number by version says nothing of the split (a check of them alarms falsely in half of all
 * trials): they are compared only with what gateways dealt, where another source counts them.
 */
export type SplitCheck =
  /** Accounts by version, with the shares of the policy and the stage. */
  | 'accounts'
  /** Accounts of all candidates together, with what the stage holds back of them. */
  | 'heldBack'
  /** Accounts by version in each group that is dealt at random, with the shares of its weights. */
  | 'groups'
  /** Requests that the source has, with those that gateways allotted. */
  | 'sourceRequests'
  /** Accounts that the source has, with the shares, until these change for the first time. */
  | 'sourceAccounts'
  | 'sourceHeldBack'
  /** Not possible. */
  | 'requestsDepend'
  | 'customersOwn'
  | 'sourceGroups'
  | 'lookedUp'
  | 'totals';

interface SpecBase {
  readonly arms: readonly Arm[];
  readonly volume: VolumeKind;
  readonly comparison: Comparison;
  /** What is counted once: a request, or an account where traffic sticks to accounts. */
  readonly unit: 'request' | 'account';
  /** Accounts may have entered at several gateways: nothing keeps them apart. */
  readonly mayEnterTwice?: true;
  /** For amounts and clicks: an outcome above this counts as this much; outcomes of blocks are divided by it. */
  readonly cap?: number;
  /** What can be checked of the split; absent in runs that began before that was said. */
  readonly split?: SplitCheck;
}

/** P(a version is promoted that is more than `epsilon` worse than another) ≤ `delta`, however often one looks. */
export interface AnytimeSpec extends SpecBase {
  readonly rule: 'anytime';
  readonly delta: number;
  /** Smallest difference worth acting on, in outcomes between 0 and 1 (an amount divided by the cap). */
  readonly epsilon: number;
  /** The difference in standard deviations that bets are placed for; several, since the true one is not known. */
  readonly grid: readonly Effect[];
  /** Rate of success that the plan expects; bets begin with the first block then. A wrong one costs time alone. */
  readonly expectedRate?: number;
  /**
   * A candidate need not beat the baseline, but be at most this much worse; in the same unit as `epsilon`. The promise is
   * then that no candidate is promoted that is worse than that, nor, where some candidate is no worse than the baseline,
   * more than `epsilon` worse than the best.
   */
  readonly nonInferiority?: number;
  /** Nothing is decided, and no candidate dropped, before. */
  readonly minDurationMs?: number;
  /** ... and later only at the end of whole periods, such as weeks. */
  readonly everyFullMs?: number;
  readonly deadlineMs?: number;
  /** Share of what candidates get together, for the one in front. */
  readonly leaderShare?: number;
  /** Three versions or more: less traffic for those that are far behind, as the shares of the lower bound have it. */
  readonly tracking?: boolean;
  /** The same version on two clusters: a difference means that the measuring is wrong. */
  readonly aaTest?: boolean;
}

export interface Effect {
  readonly effect: number;
  /** Share of the capital; all shares add up to 1. */
  readonly weight: number;
}

/** The greatest ratio at the end of the trial wins. No error rate is promised. */
export interface MaxEfficacySpec extends SpecBase {
  readonly rule: 'max-efficacy';
  readonly minSamples: number;
  /** Amounts are compared as they were capped unit by unit; absent: as they came, and then no interval holds. */
  readonly comparesCapped?: true;
}

/** One look, when every version has as many units as were planned. P(a wrong winner) ≤ delta, for large samples. */
export interface FixedSampleSpec extends SpecBase {
  readonly rule: 'fixed-sample';
  readonly delta: number;
  readonly unitsPerArm: number;
  readonly deadlineMs?: number;
}

export type RuleSpec = AnytimeSpec | MaxEfficacySpec | FixedSampleSpec;

const DEFAULT_EFFECTS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28];
/**
 * Multiples of ε with their share of the capital. A tie has to show a difference of ε (from −ε), a version that is
 * better by ε one of 2ε: most is bet for what lies between 2ε and 3ε, the rest for differences that are far greater,
 * which are found soon in any case.
 */
const MULTIPLES = [
  [1.5, 0.25],
  [2.5, 0.65],
  [6, 0.07],
  [16, 0.02],
  [32, 0.01],
] as const;
/** Beyond this the stakes are cut anyway. */
const MOST_EFFECT = 1.3;

/**
 * Effects to bet for. Where the smallest difference worth acting on is known, they are multiples of it in standard
 * deviations at the expected rate; a wrong expectation costs time, never correctness.
 */
export function effectGrid(epsilon: number, expectedRate: number | undefined): readonly Effect[] {
  const sd = expectedRate === undefined ? undefined : Math.sqrt(expectedRate * (1 - expectedRate));
  if (epsilon <= 0 || sd === undefined || sd <= 0) {
    return DEFAULT_EFFECTS.map((effect) => ({ effect, weight: 1 / DEFAULT_EFFECTS.length }));
  }
  return MULTIPLES.map(([multiple, weight]) => ({
    effect: Math.min(MOST_EFFECT, (epsilon / sd) * multiple),
    weight,
  }));
}

export function controlOf({ arms }: Pick<SpecBase, 'arms'>): string | undefined {
  return arms.find(({ role }) => role === 'baseline')?.version;
}

/** For trials whose end somebody else says. */
export function withoutDeadline(spec: RuleSpec): RuleSpec {
  if (!('deadlineMs' in spec)) return spec;
  const { deadlineMs: _, ...rest } = spec;
  return rest;
}

/** The same version on several clusters is compared with itself. */
export function isAaTest(spec: RuleSpec): boolean {
  return spec.rule === 'anytime' && spec.aaTest === true;
}

/** Amounts or clicks without a bound: nothing can be said of how far off their mean is. */
export function isUnbounded(spec: RuleSpec): boolean {
  return spec.rule === 'max-efficacy' && isBounded(spec) && spec.comparesCapped !== true;
}

export function isBounded({ volume }: Pick<SpecBase, 'volume'>): boolean {
  return volume === 'amount' || volume === 'clicks';
}
