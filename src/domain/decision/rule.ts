import type { Block } from './block.ts';
import type { FixedSampleSpec, RuleSpec } from './rule-spec.ts';
import { counted, NO_BLOCKS, totalsOf, type RuleState } from './rule-state.ts';
import { lookAnytime, observeAnytime, restored, type RoutesNow } from './rules/anytime.ts';
import { decideOnce, isComplete } from './rules/fixed-sample.ts';
import { noEvidence } from './rules/pair-evidence.ts';

/**
 * Raised whenever the same numbers come to another state or to another verdict, were it by a word: who derives a recorded
 * decision anew has to know by which rules it was made. By the same ones all of it has to come again.
 */
export const RULES_VERSION = 4;

/** The first of them by which the same blocks come to the same state as now; raised with it where they no longer do. */
export const SAME_STATE_SINCE = 2;

/**
 * The interface of every rule: blocks of counter differences in, a verdict out (`judge`). Pure; the state in between is
 * plain JSON.
 */
export function beginRule(spec: RuleSpec): RuleState {
  return spec.rule === 'anytime' ? { ...NO_BLOCKS, pairs: noEvidence(spec) } : NO_BLOCKS;
}

/**
 * One block more. What it decides, or drops, stands.
 *
 * @throws ChangeoverError `InvalidRequest` where a count is negative, not a number, or more than its units.
 */
export function observe(spec: RuleSpec, before: RuleState, block: Block): RuleState {
  switch (spec.rule) {
    case 'anytime':
      return observeAnytime(spec, before, block);
    case 'max-efficacy':
      return counted(before, block);
    case 'fixed-sample':
      return looked(spec, before, counted(before, block));
  }
}

/**
 * A reading at this time of the trial: what was held back until then is looked at. Blocks may lag behind, or there are
 * none where nobody came.
 */
export function atClock(spec: RuleSpec, before: RuleState, clockMs: number): RuleState {
  if (clockMs <= before.elapsedMs) return before;
  const state = { ...before, elapsedMs: clockMs };
  return spec.rule === 'anytime' ? lookAnytime(spec, before, state) : state;
}

/**
 * Versions that were pulled meanwhile. A decision for one of them stands no longer; who was beaten by them, and is not
 * shown to be by those that are left, takes part again. One for another version stands: it was shown to be at most ε worse
 * than any version, so than any that is left. Where the set of `fixed-sample` is complete without them, its one look is
 * taken now.
 */
export function withPulled(
  spec: RuleSpec,
  before: RuleState,
  pulled: Readonly<Record<string, string>>,
  routes?: RoutesNow,
): RuleState {
  const isPulled = before.decided !== null && Object.hasOwn(pulled, before.decided.version);
  const state = { ...before, pulled, decided: isPulled ? null : before.decided };
  if (Object.keys(pulled).every((version) => Object.hasOwn(before.pulled, version))) return state;
  switch (spec.rule) {
    case 'anytime':
      return restored(spec, state, routes);
    case 'max-efficacy':
      return state;
    case 'fixed-sample':
      return looked(spec, before, state);
  }
}

/** One look and no second: what it did not find stays open. */
function looked(spec: FixedSampleSpec, before: RuleState, state: RuleState): RuleState {
  const isFirst = state.alarm === null && !isComplete(spec, before) && isComplete(spec, state);
  if (!isFirst) return state;
  const groups = Object.keys(state.sums).length > 1 ? { lookGroups: state.sums } : {};
  return { ...state, decided: decideOnce(spec, state), look: totalsOf(state), ...groups };
}
