import { groupNotes, splitInsideGroups } from './group-words.ts';
import { controlOf, type RuleSpec } from './rule-spec.ts';
import type { RuleState } from './rule-state.ts';
import {
  ACCOUNTS_AT_SEVERAL,
  askedAnew,
  BEST_OF_CANDIDATES,
  cappedNotes,
  OBSERVATIONAL,
  promiseNotes,
  SYSTEMATIC,
} from './rule-words.ts';
import { splitNotes } from './split-check.ts';

/** What a verdict rests on, and what it may not claim. */
export function notesOf(spec: RuleSpec, state: RuleState): readonly string[] {
  const gone = spec.arms
    .map(({ version }) => version)
    .filter((version) => Object.hasOwn(state.pulled, version));
  return [
    ...(spec.rule === 'anytime' && gone.length > 0 ? [askedAnew(gone)] : []),
    ...(spec.comparison === 'segment' ? [OBSERVATIONAL, splitInsideGroups(spec)] : []),
    ...(spec.comparison === 'stratified' ? groupNotes(spec, state) : []),
    ...(spec.comparison === 'systematic' ? [SYSTEMATIC] : []),
    ...(controlOf(spec) === undefined ? [BEST_OF_CANDIDATES] : []),
    ...promiseNotes(spec),
    ...splitNotes(spec, state),
    ...(spec.mayEnterTwice === true ? [ACCOUNTS_AT_SEVERAL] : []),
    ...cappedNotes(spec),
  ];
}
