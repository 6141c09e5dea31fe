import { added, assertBlock, dealtOf, type Block, type Sums } from './block.ts';
import { unitsByShare } from './joined-shares.ts';
import { withBlock, type RecentTraffic } from './recent-traffic.ts';
import type { RuleSpec } from './rule-spec.ts';
import {
  nextGroupRatios,
  nextSampleRatio,
  NO_SAMPLE_RATIO,
  type SampleRatioState,
} from './statistics/sample-ratio.ts';

/** ln e that `a` is better than `b`, per margin and per effect of the grid. */
export interface PairEvidence {
  readonly a: string;
  readonly b: string;
  /** In the order of `marginsOf(spec)`, then of the grid. Never e itself, which no number would hold. */
  readonly lnE: readonly (readonly number[])[];
}

export interface Dropped {
  readonly atMs: number;
  /** The version that shows it best. */
  readonly by: string;
  readonly lnE: number;
}

/** What was decided, and stands from then on. */
export type Decided =
  | { readonly kind: 'winner' | 'equivalent'; readonly version: string; readonly atMs: number }
  | { readonly kind: 'keepBaseline'; readonly version: string; readonly atMs: number };

/**
 * All that a rule remembers: plain JSON, whose numbers survive it bit for bit, so that a run may continue as new between
 * any two blocks. Replaying the same blocks gives the same state.
 */
export interface RuleState {
  readonly blocks: number;
  /** The rule's clock: never behind the blocks, nor behind the trial's own clock where readings tell it. */
  readonly elapsedMs: number;
  /** Absent before any block, and in states of earlier versions. */
  readonly traffic?: RecentTraffic;
  /** Group → version → sums over all blocks. */
  readonly sums: Readonly<Record<string, Sums>>;
  /** Version → outcomes before capping, where blocks tell them. */
  readonly uncapped: Readonly<Record<string, number>>;
  /** Version → why a guardrail, the loss budget or an operator pulled it. */
  readonly pulled: Readonly<Record<string, string>>;
  readonly pairs: readonly PairEvidence[];
  readonly dropped: Readonly<Record<string, Dropped>>;
  /**
   * Version → when it took part again, since what had beaten it was pulled, and the table it was out under, where routes
   * had taken it out. It may be dropped once more.
   */
  readonly returned?: Readonly<Record<string, { readonly atMs: number; readonly tableVersion?: number }>>;
  /** The sums at the one look of `fixed-sample`, once it was taken. */
  readonly look?: Sums;
  /** ... by group, where there are several. */
  readonly lookGroups?: Readonly<Record<string, Sums>>;
  readonly decided: Decided | null;
  readonly sampleRatio: SampleRatioState;
  /** The split was checked up to a block of which it is not known who was dealt where. */
  readonly unchecked?: true;
  /** Why the data are not trusted, and since when: a split that is not what was asked for, or an A/A test that differs. */
  readonly alarm: { readonly reason: 'sampleRatio' | 'aaDifference'; readonly atMs: number } | null;
}

export const NO_BLOCKS: RuleState = {
  blocks: 0,
  elapsedMs: 0,
  sums: {},
  uncapped: {},
  pulled: {},
  pairs: [],
  dropped: {},
  decided: null,
  sampleRatio: NO_SAMPLE_RATIO,
  alarm: null,
};

/** ln 1000: a right split raises this alarm in at most one of a thousand trials. */
export const SAMPLE_RATIO_LIMIT = Math.log(1000);

/** What every rule notes of a block. @throws ChangeoverError `InvalidRequest` where its counts cannot be. */
export function counted(state: RuleState, block: Block): RuleState {
  assertBlock(block);
  const sums: Record<string, Sums> = { ...state.sums };
  const uncapped: Record<string, number> = { ...state.uncapped };
  const units: Record<string, number> = {};
  const dealt: Record<string, number> = {};
  for (const [group, arms] of Object.entries(block.groups)) {
    sums[group] = added(sums[group] ?? {}, arms);
    for (const [version, counts] of Object.entries(arms)) {
      units[version] = (units[version] ?? 0) + counts.n;
      dealt[version] = (dealt[version] ?? 0) + dealtOf(counts);
      if (counts.uncapped !== undefined) uncapped[version] = (uncapped[version] ?? 0) + counts.uncapped;
    }
  }
  const isUnchecked = state.unchecked === true || block.unchecked === true;
  const sampleRatio = isUnchecked ? state.sampleRatio : nextRatio(state, block, dealt);
  const isAlarm = sampleRatio.lnE >= SAMPLE_RATIO_LIMIT;
  return {
    ...state,
    blocks: state.blocks + 1,
    elapsedMs: Math.max(state.elapsedMs, block.toMs),
    traffic: withBlock(state.traffic, block, units),
    sums,
    uncapped,
    sampleRatio,
    ...(isUnchecked ? { unchecked: true } : {}),
    alarm: state.alarm ?? (isAlarm ? { reason: 'sampleRatio', atMs: block.toMs } : null),
  };
}

function nextRatio(
  { sampleRatio }: RuleState,
  { groups, shares, sharesByGroup }: Block,
  dealt: Readonly<Record<string, number>>,
): SampleRatioState {
  if (sharesByGroup !== undefined) return nextGroupRatios(sampleRatio, groups, sharesByGroup);
  return shares === undefined
    ? sampleRatio
    : nextSampleRatio(sampleRatio, unitsByShare(dealt, shares), shares);
}

/** Sums over all groups. */
export function totalsOf({ sums }: Pick<RuleState, 'sums'>): Sums {
  return Object.values(sums).reduce<Sums>((total, group) => added(total, group), {});
}

/** Versions that were not pulled: what is left, and what those that are left have beaten. */
export function inPlay({ arms }: RuleSpec, { pulled }: Pick<RuleState, 'pulled'>): readonly string[] {
  return arms.map(({ version }) => version).filter((version) => !Object.hasOwn(pulled, version));
}

/** Arms that still take part. */
export function survivorsOf(spec: RuleSpec, state: RuleState): readonly string[] {
  return inPlay(spec, state).filter((version) => !Object.hasOwn(state.dropped, version));
}
