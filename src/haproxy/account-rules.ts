import { SLOTS } from '../domain/policy/route-key.ts';
import { ALLOCATED, ALLOTTED, COUNTED, hashSlot, IN_TIME, MOVED, VOLUME } from './conditions.ts';
import { digitRules } from './digit-rules.ts';
import {
  ACCOUNT_COUNTS,
  ACCOUNT_TAGS,
  AMOUNT_BITS,
  BEYOND,
  type Files,
  type RuleParts,
  TABLES,
} from './layout.ts';

/**
 * Counting by account: each account has one entry from its first request in the trial on, which says when that was and
 * where it went; what its requests come to within the window is added to that entry. The companion takes an entry out
 * when its window is over, and keeps by itself which accounts entered before: who comes again later has an entry again,
 * which is not counted. One that nobody of its version could take has an entry as well, which says so: it does not enter,
 * then or later.
 */

const { started, allocated, answered, matches, amounts, amount } = ACCOUNT_COUNTS;

/** What the policy splits, as in the embedded gateway (src/gateway/compiled-routes.ts). */
function accountIn({ key, policy, account }: RuleParts): string {
  if (account !== undefined) return 'dealt';
  return key.lookup !== undefined && (policy === 'range' || policy === 'values') ? 'raw' : 'key';
}

/** Of what the policy allotted in a trial, `txn.trial`, to `txn.release`, and of what was turned away. */
export function accountAssignmentRules(parts: RuleParts, files: Files): string[] {
  const { accounts, units } = TABLES;
  const isTurnedAway = `!${ALLOTTED}`;
  const isKnown = `{ var(txn.hash),in_table(${accounts}) }`;
  const mayEnter = `${ALLOCATED} !{ var(txn.trial),field(5,:),strcmp(txn.release) eq 0 }`;
  const tag = (name: Exclude<keyof typeof ACCOUNT_TAGS, 'all'>, value: string): string =>
    `http-request sc-set-gpt(${ACCOUNT_TAGS[name]},1) ${value}`;
  return [
    '# An account enters with its first allocated request.',
    `http-request set-var(txn.account) var(txn.trial),field(4,:),url_dec,concat(:,txn.${accountIn(parts)})`,
    'http-request set-var(txn.hash) var(txn.account),xxh64',
    '# One that is turned away enters neither now nor later; what a stage holds back may, where it is compared with nobody.',
    `http-request allow if ${isTurnedAway} !{ var(txn.${accountIn(parts)}) -m found } or ${isTurnedAway} ${isKnown}`,
    `http-request set-var(txn.share) var(txn.trial),field(7,:),add(0) if ${isTurnedAway} !${MOVED}`,
    `http-request allow if { var(txn.share) -m found } { ${hashSlot('stageSalt', files, parts.account === undefined ? 'key' : 'dealt')},sub(txn.share) ge 0 }`,
    `http-request track-sc1 var(txn.hash) table ${accounts} if ${mayEnter} or ${isKnown}`,
    '# Who finds no room is counted as such.',
    `http-request set-var(txn.beyond) bool(true) if ${ALLOTTED} ${mayEnter} !{ sc_tracked(1) }`,
    `http-request track-sc1 str(${BEYOND}) table ${units} if { var(txn.beyond) -m found }`,
    'http-request allow if { var(txn.beyond) -m found } or !{ sc_tracked(1) }',
    '# Only what comes within the window counts.',
    `http-request set-var(txn.entered) sc_get_gpt(${ACCOUNT_TAGS.second},1),mul(1000)`,
    `http-request set-var(txn.entered) sc_get_gpt(${ACCOUNT_TAGS.millisecond},1),add(txn.entered)`,
    'http-request set-var(txn.entered) var(txn.began) if { var(txn.entered) -m int lt 1000 }',
    'http-request set-var(txn.rest) var(txn.trial),field(6,:),add(txn.entered),sub(txn.began)',
    'http-request allow if { var(txn.rest) -m int le 0 }',
    'http-request set-var(txn.version) var(txn.seen)',
    'http-request set-var(txn.limit) var(txn.trial),field(2,:),add(txn.rest)',
    `http-request sc-inc-gpc(${allocated},1) if ${ALLOCATED}`,
    `http-request allow unless { sc_inc_gpc(${started},1) eq 1 }`,
    '# It enters.',
    tag('millisecond', 'var(txn.began),mod(1000)'),
    tag('tableVersion', 'var(txn.version)'),
    tag('release', 'var(txn.release),xxh32'),
    tag('slot', `var(txn.account),xxh32,mod(${SLOTS})`),
    ...(parts.account === undefined ? [] : [tag('group', 'var(txn.group)')]),
    `${tag('turnedAway', '1')} if ${isTurnedAway}`,
    tag('second', 'var(txn.began),div(1000)'),
  ];
}

/** Of the response, once it is known whether it is transaction volume. */
export function accountOutcomeRules(): string[] {
  return [
    `http-response sc-inc-gpc(${matches},1) if ${COUNTED} ${VOLUME} ${IN_TIME}`,
    `http-response sc-inc-gpc(${answered},1) if ${COUNTED}`,
  ];
}

/** Last of the rules, where `txn.units` and `txn.sign` are the amount: added digit by digit, moved up so that it is positive. */
export function accountAmountRules(): string[] {
  return [
    '# The rest is for accounts of the trial.',
    `http-response allow unless ${COUNTED} ${IN_TIME}`,
    `http-response sc-inc-gpc(${amounts},1)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),add(txn.units)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),sub(txn.units) if { var(txn.sign) -m found }`,
    ...digitRules({ of: 'moved', in: 1, to: AMOUNT_BITS, at: amount }),
  ];
}
