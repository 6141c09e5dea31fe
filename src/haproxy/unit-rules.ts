import { accountAmountRules, accountAssignmentRules, accountOutcomeRules } from './account-rules.ts';
import {
  ALLOCATED,
  ALLOTTED,
  allottedBy,
  ALLOTTED_OR_TURNED_AWAY,
  COUNTED,
  IN_TIME,
  VOLUME,
} from './conditions.ts';
import { digitRules } from './digit-rules.ts';
import {
  AMOUNT_BITS,
  DECISION_BASE,
  type Files,
  GO,
  type RuleParts,
  SPECIAL,
  TABLES,
  UNIT_DIGITS,
  UNIT_SLOT_MS,
} from './layout.ts';

/**
 * Counting for the decision: each request that the policy allotted is a unit. It is counted when it is assigned, in an
 * entry for its moment, table version and release (and group, where groups are dealt at random), and its outcome is added
 * to that same entry. Tracking holds the entry until the request is over, which `show table` tells (`use`): so it is known
 * of which moments all outcomes are there.
 */

function trial(files: Files): string {
  return `str(${SPECIAL.units}),map_str(${files.routes})`;
}

/** Before anything is looked up for the request. */
export function trialRules(files: Files): string[] {
  return [
    '# For the decision: the version of the table by which anything is counted.',
    `http-request set-var(txn.seen) ${trial(files)},add(0)`,
  ];
}

/** The release, as it is written in the routes map. */
export function releaseBy(routes: string, go = 'txn.go'): string {
  return `var(${go}),and(${GO.number}),add(${DECISION_BASE}),map_str(${routes}),field(1,:)`;
}

/** In the slot's backend: it is decided where the request goes. */
export function assignmentRules(parts: RuleParts, files: Files): string[] {
  const group = parts.account === undefined ? '' : ' { var(txn.group) -m found }';
  const ours = parts.unit === 'account' ? ALLOTTED_OR_TURNED_AWAY : `${ALLOCATED} ${ALLOTTED}`;
  return [
    '# For the decision: what the policy allotted, unless routes changed while it was looked at. Rules of your own come before.',
    `http-request allow unless { var(txn.seen) -m found }${group} ${ours}`,
    '# What is counted: table version, time-out in milliseconds, and more.',
    `http-request set-var(txn.trial) ${trial(files)}`,
    'http-request allow unless { var(txn.trial),sub(txn.seen) eq 0 }',
    ...(parts.unit === 'account' ? accountUnitRules(parts, files) : requestUnitRules(parts, files)),
  ];
}

function accountUnitRules(parts: RuleParts, files: Files): string[] {
  const release = (go: string): string =>
    `http-request set-var(txn.release) ${releaseBy(files.routes, go)} if ${allottedBy(go)}`;
  return [release('txn.go'), release('txn.wanted'), ...accountAssignmentRules(parts, files)];
}

function requestUnitRules({ account }: RuleParts, files: Files): string[] {
  const group = account === undefined ? '' : ',concat(:,txn.group)';
  return [
    `http-request set-var(txn.release) ${releaseBy(files.routes)}`,
    'http-request set-var(txn.limit) var(txn.trial),field(2,:),add(0)',
    'http-request set-var(txn.version) var(txn.seen)',
    `http-request track-sc1 var(txn.began),div(${UNIT_SLOT_MS}),concat(:,txn.version,:),concat(,txn.release)${group} table ${TABLES.units}`,
  ];
}

/** Of the response, once it is known whether it is transaction volume. */
export function outcomeRules({ unit }: RuleParts): string[] {
  if (unit === 'account') return accountOutcomeRules();
  return [`http-response sc-inc-gpc(${UNIT_DIGITS.successes},1) if ${COUNTED} ${VOLUME} ${IN_TIME}`];
}

/**
 * Last of the rules, where `txn.units` and `txn.sign` are the amount. It is capped here, each by itself, and the capped
 * one cut to a 65,536th of the cap: that, its square, and the amount as it came are added digit by digit. The last is
 * moved up so that it is positive.
 */
export function amountOutcomeRules({ unit }: RuleParts): string[] {
  if (unit === 'account') return accountAmountRules();
  const digits = (of: string, at: number, to: number): string[] => digitRules({ of, in: 1, to, at });
  const { parts, squares, uncapped } = UNIT_DIGITS;
  return [
    '# The rest is for units of the trial.',
    `http-response allow unless ${COUNTED} ${IN_TIME}`,
    `http-response sc-inc-gpc(${UNIT_DIGITS.amounts},1)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),add(txn.units)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),sub(txn.units) if { var(txn.sign) -m found }`,
    ...digits('moved', uncapped, AMOUNT_BITS),
    'http-response allow if { var(txn.sign) -m found }',
    'http-response set-var(txn.cap) var(txn.trial),field(3,:),add(0)',
    'http-response allow if { var(txn.cap) -m int eq 0 }',
    'http-response set-var(txn.units) var(txn.cap) if { var(txn.units),sub(txn.cap) gt 0 }',
    `http-response set-var(txn.part) var(txn.units),mul(${2 ** UNIT_DIGITS.partBits}),div(txn.cap)`,
    ...digits('part', parts, UNIT_DIGITS.partBits + 1),
    'http-response set-var(txn.square) var(txn.part),mul(txn.part)',
    ...digits('square', squares, 2 * UNIT_DIGITS.partBits + 1),
  ];
}
