import { ENDING, GO } from './layout.ts';

/** Parts of conditions of the rules, and of the numbers that they look at. */

/** The policy allotted what was decided. */
export const ALLOTTED = `{ var(txn.go),and(${GO.unallotted}) eq 0 }`;
/** Slot of what was decided, as a condition that holds wherever anything was. */
export const SLOT_IS_KNOWN = `{ var(txn.go),div(${GO.slot}),set-var(txn.slot) -m int gt 0 }`;
/** The request goes on with a transaction whose server is still there. */
export const AT_HOME = '{ var(txn.home) -m found }';
/** The exchange counts as allocated traffic. */
export const ALLOCATED = `{ var(txn.ending),and(${ENDING.allocated}) gt 0 }`;
/** Of the response: the exchange is transaction volume. */
export const VOLUME = `{ var(txn.ending),and(${ENDING.volume}) gt 0 }`;
/** The request is a unit of a trial, or of an account of one. */
export const COUNTED = '{ var(txn.version) -m found }';
/** Of the response: it came before the time-out of its unit. */
export const IN_TIME = '{ var(txn.took),sub(txn.limit) le 0 }';

/** A list of conditions that all have to hold, behind a rule. */
export function when(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` if ${conditions.join(' ')}`;
}
