import { NOT_ALLOTTED } from '../domain/policy/allotment.ts';
import { SLOTS } from '../domain/policy/route-key.ts';
import {
  ACCOUNT_COUNTS,
  ACCOUNT_TAGS,
  AMOUNT_BITS,
  BEYOND,
  type filesIn,
  type RuleParts,
  SPECIAL,
  TABLES,
} from './layout.ts';

/**
 * Counting by account: each account has one entry from its first request in the trial on, which says when that was and
 * where it went; what its requests come to within the window is added to that entry. The companion takes an entry out
 * when its window is over, and keeps by itself which accounts entered before: who comes again later has an entry again,
 * which is not counted.
 */

type Files = ReturnType<typeof filesIn>;

const COUNTED = '{ var(txn.version) -m found }';
const FIRST = '{ var(txn.first) -m found }';
const ALLOCATED = '{ var(txn.a) -m found }';
const { started, allocated, answered, matches, amounts, amount } = ACCOUNT_COUNTS;

/** What the policy splits, as in the embedded gateway (src/gateway/compiled-routes.ts). */
function accountIn({ key, policy, account }: RuleParts): string {
  if (account !== undefined) return 'dealt';
  return key.lookup !== undefined && (policy === 'range' || policy === 'values') ? 'raw' : 'key';
}

/** Once it is decided where the request goes. */
export function accountAssignmentRules(parts: RuleParts, files: Files): string[] {
  const { accounts, units } = TABLES;
  const mayEnter = `${COUNTED} ${ALLOCATED} !{ var(txn.trial),field(5,:),strcmp(txn.release) eq 0 }`;
  const inGroup = parts.account === undefined ? '' : ' { var(txn.group) -m found }';
  const tag = (name: Exclude<keyof typeof ACCOUNT_TAGS, 'all'>, value: string): string =>
    `http-request sc-set-gpt(${ACCOUNT_TAGS[name]},1) ${value} if ${FIRST}`;
  return [
    '# For the decision: an account enters with its first allocated request, unless routes changed while it was looked at.',
    `http-request set-var(txn.version) var(txn.trial),field(1,:) if { var(txn.trial) -m found } !{ var(txn.hop) -m found }${inGroup} !{ var(txn.go),field(3,:) -m str ${NOT_ALLOTTED.join(' ')} } { str(${SPECIAL.units}),map_str(${files.routes}),strcmp(txn.trial) eq 0 }`,
    `http-request set-var(txn.release) var(txn.go),field(2,:) if ${COUNTED}`,
    `http-request set-var(txn.account) var(txn.trial),field(4,:),url_dec,concat(:,txn.${accountIn(parts)}) if ${COUNTED}`,
    `http-request track-sc1 var(txn.account),xxh64 table ${accounts} if ${mayEnter} or ${COUNTED} { var(txn.account),xxh64,in_table(${accounts}) }`,
    '# Who finds no room is counted as such.',
    `http-request set-var(txn.beyond) bool(true) if ${mayEnter} !{ sc_tracked(1) }`,
    `http-request unset-var(txn.version) if ${COUNTED} !{ sc_tracked(1) }`,
    `http-request track-sc1 str(${BEYOND}) table ${units} if { var(txn.beyond) -m found }`,
    '# Only what comes within the window counts.',
    `http-request set-var(txn.entered) sc_get_gpt(${ACCOUNT_TAGS.second},1),mul(1000) if ${COUNTED}`,
    `http-request set-var(txn.entered) sc_get_gpt(${ACCOUNT_TAGS.millisecond},1),add(txn.entered) if ${COUNTED}`,
    `http-request set-var(txn.entered) var(txn.began) if ${COUNTED} { var(txn.entered) -m int lt 1000 }`,
    `http-request set-var(txn.rest) var(txn.trial),field(6,:),add(txn.entered),sub(txn.began) if ${COUNTED}`,
    `http-request unset-var(txn.version) if ${COUNTED} { var(txn.rest) -m int le 0 }`,
    `http-request set-var(txn.limit) var(txn.trial),field(2,:),add(txn.rest) if ${COUNTED}`,
    `http-request sc-inc-gpc(${allocated},1) if ${COUNTED} ${ALLOCATED}`,
    `http-request set-var(txn.first) bool(true) if ${COUNTED} { sc_inc_gpc(${started},1) eq 1 }`,
    tag('millisecond', 'var(txn.began),mod(1000)'),
    tag('tableVersion', 'var(txn.version),add(0)'),
    tag('release', 'var(txn.release),xxh32'),
    tag('slot', `var(txn.account),xxh32,mod(${SLOTS})`),
    ...(parts.account === undefined ? [] : [tag('group', 'var(txn.group),add(0)')]),
    tag('second', 'var(txn.began),div(1000)'),
  ];
}

/** Of the response, once it is known whether it is transaction volume. `inTime` is the condition for an outcome to count. */
export function accountOutcomeRules(inTime: string): string[] {
  return [
    `http-response sc-inc-gpc(${matches},1) if ${COUNTED} { var(txn.v) -m found } ${inTime}`,
    `http-response sc-inc-gpc(${answered},1) if ${COUNTED}`,
  ];
}

/** Last of the rules, where `txn.units` and `txn.sign` are the amount: added digit by digit, moved up so that it is positive. */
export function accountAmountRules(inTime: string): string[] {
  return [
    '# The rest is for accounts of the trial.',
    `http-response allow unless ${COUNTED} ${inTime}`,
    `http-response sc-inc-gpc(${amounts},1)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),add(txn.units)`,
    `http-response set-var(txn.moved) int(${2n ** BigInt(AMOUNT_BITS - 1)}),sub(txn.units) if { var(txn.sign) -m found }`,
    ...Array.from(
      { length: AMOUNT_BITS },
      (_, bit) =>
        `http-response sc-inc-gpc(${amount + bit},1) if { var(txn.moved),and(${2n ** BigInt(bit)}) gt 0 }`,
    ),
  ];
}
