import type { Block } from './block.ts';
import type { RuleSpec } from './rule-spec.ts';
import { counted, NO_BLOCKS, type RuleState } from './rule-state.ts';
import { observeAnytime } from './rules/anytime.ts';
import { decideOnce, isComplete } from './rules/fixed-sample.ts';
import { noEvidence } from './rules/pair-evidence.ts';

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
    case 'fixed-sample': {
      const state = counted(before, block);
      // One look and no second: what it did not find stays open.
      const isFirst = state.alarm === null && !isComplete(spec, before) && isComplete(spec, state);
      return isFirst ? { ...state, decided: decideOnce(spec, state) } : state;
    }
  }
}

/**
 * Versions that were pulled meanwhile. A decision for one of them stands no longer, and who was beaten by it takes part
 * again.
 */
export function withPulled(state: RuleState, pulled: Readonly<Record<string, string>>): RuleState {
  const isPulled = state.decided !== null && Object.hasOwn(pulled, state.decided.version);
  const dropped = Object.fromEntries(
    Object.entries(state.dropped).filter(([, { by }]) => !Object.hasOwn(pulled, by)),
  );
  return { ...state, pulled, dropped, decided: isPulled ? null : state.decided };
}
