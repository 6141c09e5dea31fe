import { SLOTS } from '../domain/policy/route-key.ts';
import { ENDING, type Files, GO, SPECIAL } from './layout.ts';

/** Parts of conditions of the rules, and of the numbers that they look at. */

/** The policy allotted what is in this variable; false where nothing is. */
export function allottedBy(go: string): string {
  return `{ var(${go}),and(${GO.unallotted}) eq 0 }`;
}
/** The policy allotted what was decided. */
export const ALLOTTED = allottedBy('txn.go');
/** … or would have, had anybody of the version been there to take it. */
export const ALLOTTED_OR_TURNED_AWAY = `!{ var(txn.go),and(${GO.unallotted + GO.turnedAway}) eq ${GO.unallotted} }`;
/** The release that was decided had no server; `txn.wanted` is what had been. */
export const MOVED = '{ var(txn.wanted) -m found }';
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

/** Slot of the key, or of the account by which groups are dealt, by the hash that has this salt. */
export function hashSlot(salt: 'policySalt' | 'stageSalt', files: Files, of: 'key' | 'dealt'): string {
  return `str(${SPECIAL[salt]}),map_str(${files.routes}),url_dec,concat(:,txn.${of}),xxh32,mod(${SLOTS})`;
}

/** A list of conditions that all have to hold, behind a rule. */
export function when(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` if ${conditions.join(' ')}`;
}
