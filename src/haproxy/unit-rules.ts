import { NOT_ALLOTTED } from '../domain/policy/allotment.ts';
import { accountAmountRules, accountAssignmentRules, accountOutcomeRules } from './account-rules.ts';
import {
  AMOUNT_BITS,
  type filesIn,
  type RuleParts,
  SPECIAL,
  TABLES,
  UNIT_DIGITS,
  UNIT_SLOT_MS,
} from './layout.ts';

/**
 * Counting for the decision: each request that the policy allotted is a unit. It is counted when it is assigned, in an
 * entry for its moment, table version and release (and group, where groups are dealt at random), and its outcome is added to that same entry. Tracking holds the entry
 * until the request is over, which `show table` tells (`use`): so it is known of which moments all outcomes are there.
 */

type Files = ReturnType<typeof filesIn>;

const COUNTED = '{ var(txn.version) -m found }';
const IN_TIME = '{ var(txn.took),sub(txn.limit) le 0 }';

function trial(files: Files): string {
  return `str(${SPECIAL.units}),map_str(${files.routes})`;
}

/** Before anything is looked up for the request. */
export function trialRules(files: Files): string[] {
  return [
    '# What is counted for the decision: table version, time-out in milliseconds, and more. Absent while nothing is.',
    `http-request set-var(txn.trial) ${trial(files)}`,
  ];
}

/** Once it is decided where the request goes. */
export function assignmentRules(parts: RuleParts, files: Files): string[] {
  if (parts.unit === 'account') return accountAssignmentRules(parts, files);
  const dealt = parts.account === undefined ? '' : ' { var(txn.group) -m found }';
  const group = parts.account === undefined ? '' : ',concat(:,txn.group)';
  return [
    '# A unit of the trial is counted at its assignment, unless routes changed while it was looked at.',
    `http-request set-var(txn.version) var(txn.trial),field(1,:) if { var(txn.trial) -m found } { var(txn.a) -m found } !{ var(txn.hop) -m found }${dealt} !{ var(txn.go),field(3,:) -m str ${NOT_ALLOTTED.join(' ')} } { ${trial(files)},strcmp(txn.trial) eq 0 }`,
    `http-request set-var(txn.limit) var(txn.trial),field(2,:) if ${COUNTED}`,
    `http-request set-var(txn.release) var(txn.go),field(2,:) if ${COUNTED}`,
    `http-request track-sc1 var(txn.began),div(${UNIT_SLOT_MS}),concat(:,txn.version,:),concat(,txn.release)${group} table ${TABLES.units} if ${COUNTED}`,
  ];
}

/** Of the response, once it is known whether it is transaction volume. */
export function outcomeRules({ unit }: RuleParts): string[] {
  if (unit === 'account') return accountOutcomeRules(IN_TIME);
  return [
    `http-response sc-inc-gpc(${UNIT_DIGITS.successes},1) if ${COUNTED} { var(txn.v) -m found } ${IN_TIME}`,
  ];
}

/**
 * Last of the rules, where `txn.units` and `txn.sign` are the amount. It is capped here, each by itself, and the capped
 * one cut to a 65,536th of the cap: that, its square, and the amount as it came are added digit by digit. The last is
 * moved up so that it is positive.
 */
export function amountOutcomeRules({ unit }: RuleParts): string[] {
  if (unit === 'account') return accountAmountRules(IN_TIME);
  const digits = (name: string, from: number, count: number): string[] =>
    Array.from(
      { length: count },
      (_, bit) =>
        `http-response sc-inc-gpc(${from + bit},1) if { var(txn.${name}),and(${2n ** BigInt(bit)}) gt 0 }`,
    );
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
