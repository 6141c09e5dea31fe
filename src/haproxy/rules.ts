import { ChangeoverError } from '../domain/errors.ts';
import type { ExchangeMatch } from '../domain/measure.ts';
import { NOT_ALLOTTED, TRANSACTION_UNALLOTTED } from '../domain/policy/allotment.ts';
import { MAX_KEY_OCTETS, SLOTS } from '../domain/policy/route-key.ts';
import { contextRules, STRIP_RULES } from './baggage-rules.ts';
import { HANDOVER_RULES, HANDOVER_UNCOUNTED, HANDOVER_WAY, WAITING_RULES } from './handover.ts';
import {
  AMOUNT_BITS,
  AMOUNT_DECIMALS,
  encoded,
  ENDING,
  type filesIn,
  GROUP_HELD_BACK,
  GROUP_MARK,
  HOME_BASE,
  RANGE_FAR,
  RANGE_ZERO,
  type RuleParts,
  SPECIAL,
  TABLES,
} from './layout.ts';
import { amountOutcomeRules, assignmentRules, outcomeRules, trialRules } from './unit-rules.ts';

export type Files = ReturnType<typeof filesIn>;

/** One argument of a configuration line, quoted where it has to be (configuration.txt 2.2). */
export function quoted(argument: string): string {
  return /^[\w./:%()[\],|=*-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** The routes map, searched by a whole key. That is a tree, whatever the number of servers in it. */
function lookUp(files: Files): string {
  return `map_str(${files.routes})`;
}

/** The same map, searched for the range that a number lies in: a list, in which ranges come first. */
function lookUpRange(files: Files): string {
  return `map_int(${files.routes})`;
}

function special(name: keyof typeof SPECIAL, files: Files): string {
  return `str(${SPECIAL[name]}),${lookUp(files)}`;
}

/** Where the key is; the same requests have the same key in the embedded gateway (src/gateway/request-key.ts). */
export function keyFetch(key: NonNullable<RuleParts['account']>): string {
  switch (key.from) {
    case 'header':
      return `req.fhdr(${key.name},1)`;
    case 'cookie':
      // Quotes around a value are no part of it.
      return `req.cook(${key.name}),${quoted(String.raw`regsub('^"(.*)"$','\1')`)}`;
    case 'query':
      return `url_param(${key.name}),url_dec(1)`;
    case 'baggage':
      throw withoutBaggage();
    case 'path':
      return `path,field(${key.segment + 1},/),url_dec`;
  }
}

/** What the plan's checks say before; here for who renders something else. */
function withoutBaggage(): ChangeoverError {
  return new ChangeoverError(
    'InvalidRequest',
    'HAProxy cannot read members of W3C baggage: take the key and the id of transactions from a header or a cookie, or use embedded gateways.',
  );
}

/** Key → decision, `slot:release:bucket`, and `:open` where a stage holds back the key's slots from `open` on. */
export function routingRules(parts: RuleParts, files: Files): string[] {
  const lookup =
    parts.key.lookup === undefined
      ? [`http-request set-var(txn.key) ${keyFetch(parts.key)}`]
      : [
          '# The key is looked up in a file; what is not there has no key.',
          `http-request set-var(txn.raw) ${keyFetch(parts.key)}`,
          `http-request set-var(txn.key) var(txn.raw),url_enc,map_str(${files.lookup}),url_dec`,
        ];
  return [...trialRules(files), ...lookup, ...decisionRules(parts, files)];
}

/** What the routes map decides for `txn.key`. */
export function decisionRules(parts: RuleParts, files: Files): string[] {
  return [
    `http-request unset-var(txn.key) unless { var(txn.key),length 1:${MAX_KEY_OCTETS} }`,
    ...policyRules(parts, files),
    ...groupRules(parts, files),
    `http-request set-var(txn.go) ${special('noKey', files)} if !{ var(txn.go) -m found }`,
    '# A stage: the slots of a second hash from the fourth field on stay on the baseline.',
    ...heldBackRules(parts, files),
  ];
}

/**
 * A group that is dealt: the account's slot, as a number behind the group's, finds the entry that it begins with. Who has
 * no account is in no group.
 */
function groupRules({ account }: RuleParts, files: Files): string[] {
  if (account === undefined) return [];
  return [
    '# A group that is dealt at random, account by account.',
    `http-request set-var(txn.group) var(txn.go),field(2,${GROUP_MARK}) if { var(txn.go) -m beg ${GROUP_MARK} }`,
    'http-request unset-var(txn.go) if { var(txn.group) -m found }',
    `http-request set-var(txn.dealt) ${keyFetch(account)}`,
    `http-request unset-var(txn.dealt) unless { var(txn.dealt),length 1:${MAX_KEY_OCTETS} }`,
    'http-request unset-var(txn.group) unless { var(txn.dealt) -m found }',
    `http-request set-var(txn.go) ${hash('policySalt', files, 'dealt')},add(txn.group),map_beg(${files.routes}) if { var(txn.group) -m found }`,
  ];
}

function heldBackRules({ account }: RuleParts, files: Files): string[] {
  const dealt = hash('stageSalt', files, account === undefined ? 'key' : 'dealt');
  const isHeld = `{ var(txn.go),field(4,:),set-var(txn.open) -m found } { ${dealt},sub(txn.open) ge 0 }`;
  const all = `http-request set-var(txn.go) ${special('heldBack', files)} if ${isHeld}`;
  if (account === undefined) return [all];
  return [
    `http-request set-var(txn.held) bool(true) if ${isHeld}`,
    `http-request set-var(txn.go) ${special('heldBack', files)} if { var(txn.held) -m found }`,
    `http-request set-var(txn.go) var(txn.group),add(${GROUP_HELD_BACK}),${lookUp(files)} if { var(txn.held) -m found } { var(txn.group) -m found }`,
  ];
}

function hash(salt: 'policySalt' | 'stageSalt', files: Files, of: 'key' | 'dealt' = 'key'): string {
  return `${special(salt, files)},url_dec,concat(:,txn.${of}),xxh32,mod(${SLOTS})`;
}

function policyRules(parts: RuleParts, files: Files): string[] {
  switch (parts.policy) {
    case 'tail':
      return [`http-request set-var(txn.go) var(txn.key),map_end(${files.digits}),${lookUp(files)}`];
    case 'hash':
      return [
        `http-request set-var(txn.go) ${hash('policySalt', files)},${lookUpRange(files)} if { var(txn.key) -m found }`,
      ];
    case 'values':
      return [
        'http-request set-var(txn.encoded) var(txn.key),url_enc',
        `http-request set-var(txn.go) str(v),concat(,txn.encoded),${lookUp(files)} if { var(txn.key) -m found }`,
        `http-request set-var(txn.go) ${special('miss', files)} if { var(txn.key) -m found } !{ var(txn.go) -m found }`,
      ];
    case 'range':
      return [
        String.raw`acl is_number var(txn.key) -m reg -- '^-?[0-9]+(\.[0-9]+)?\z'`,
        String.raw`acl is_negative var(txn.key) -m beg -- -`,
        '# More digits than a double tells apart: beyond all bounds.',
        String.raw`acl is_far var(txn.key) -m reg -- '^-?0*[1-9][0-9]{15}'`,
        '# Below zero, a fraction rounds down, away from zero.',
        String.raw`acl rounds_down var(txn.key) -m reg -- '^-[0-9]+\.[0-9]*[1-9]'`,
        `http-request set-var(txn.n) var(txn.key),field(1,.),add(${RANGE_ZERO}) if is_number !is_far`,
        'http-request set-var(txn.n) var(txn.n),sub(1) if is_number !is_far is_negative rounds_down',
        `http-request set-var(txn.n) int(${RANGE_ZERO + RANGE_FAR}) if is_number is_far !is_negative`,
        `http-request set-var(txn.n) int(${RANGE_ZERO - RANGE_FAR}) if is_number is_far is_negative`,
        `http-request set-var(txn.go) var(txn.n),${lookUpRange(files)} if is_number`,
      ];
  }
}

const KEPT = '{ var(txn.kept) -m found }';
const AT_HOME = '{ var(txn.go),field(1,:),strcmp(txn.slot) eq 0 }';
/** What was decided is no allotment by the policy. */
export const UNALLOTTED = `{ var(txn.go),field(3,:) -m str ${NOT_ALLOTTED.join(' ')} }`;

/**
 * Transactions go on where they began; where nobody can take what was decided, the refuges do. `context`: further rules
 * for what services behind this one are told; null: they are told nothing.
 */
export function destinationRules(
  parts: RuleParts,
  files: Files,
  { service, context }: { service: string; context: readonly string[] | null },
): string[] {
  const { transactions } = parts;
  if (transactions?.id.from === 'baggage') throw withoutBaggage();
  const pinned =
    transactions === null || transactions === undefined
      ? []
      : [
          '# A transaction goes on in the slot of the server on which it began.',
          `http-request set-var(txn.id) ${transactions.id.from === 'header' ? `req.fhdr(${transactions.id.name},1)` : `req.cook(${transactions.id.name})`}`,
          'http-request unset-var(txn.id) unless { var(txn.id),length 1:256 }',
          ...(transactions.endHeader === undefined
            ? []
            : [`http-request unset-var(txn.id) if { var(txn.id),in_table(${TABLES.ended}) }`]),
          ...WAITING_RULES,
          `http-request set-var(txn.home) var(txn.id),table_server_id(${TABLES.transactions}),add(${HOME_BASE}),${lookUp(files)} if { var(txn.id) -m found }`,
          `http-request set-var(txn.slot) var(txn.home),field(1,:) if { var(txn.home) -m found }`,
          '# It counts as allotted by the policy if it began so, wherever its key would begin one now.',
          `http-request set-var(txn.kept) bool(true) if { var(txn.slot) -m found } { var(txn.id),in_table(${TABLES.allotted}) }`,
          `http-request set-var(txn.go) var(txn.home) if ${KEPT} !${AT_HOME} or ${KEPT} ${UNALLOTTED}`,
          `http-request set-var(txn.go) var(txn.home),field(1,:,2),concat(:${TRANSACTION_UNALLOTTED}) if { var(txn.slot) -m found } !${KEPT} !${AT_HOME} or { var(txn.slot) -m found } !${KEPT} !${UNALLOTTED}`,
        ];
  const draining = pinned.length === 0 ? '' : ' !{ var(txn.slot) -m found }';
  return [
    ...HANDOVER_RULES,
    ...pinned,
    `http-request set-var(txn.go) ${special('refuge', files)} if { var(txn.go),field(1,:),nbsrv,set-var(txn.left) -m int eq 0 }${draining}`,
    `http-request set-var(txn.go) ${special('secondRefuge', files)} if { var(txn.left) -m int eq 0 } { var(txn.go),field(1,:),nbsrv eq 0 }${draining}`,
    ...assignmentRules(parts, files),
    ...STRIP_RULES,
    ...(context === null ? [] : [...contextRules(service, { transactions: pinned.length > 0 }), ...context]),
    HANDOVER_WAY,
    'use_backend %[var(txn.go),field(1,:)]',
  ];
}

function requestConditions({ method, path }: Pick<ExchangeMatch, 'method' | 'path'>): string[] {
  return [
    ...(method === undefined ? [] : [`{ method -m str ${quoted(method)} }`]),
    ...(path === undefined
      ? []
      : path.endsWith('*')
        ? [`{ path -m beg ${quoted(path.slice(0, -1))} }`]
        : [`{ path -m str ${quoted(path)} }`]),
  ];
}

function statusCondition(status: string): string {
  const family = /^([1-5])xx$/i.exec(status)?.[1];
  return family === undefined ? `{ status ${status} }` : `{ status ${family}00:${family}99 }`;
}

/** What the counting rules have to remember of the request. */
export function noteRules({ measure }: RuleParts): string[] {
  const volumeIf = requestConditions(measure.volume.match);
  return [
    `http-request set-var(txn.a) int(${ENDING.allocated})${when(requestConditions(measure.allocated))}`,
    ...(volumeIf.length === 0 ? [] : [`http-request set-var(txn.maybe) bool(true)${when(volumeIf)}`]),
    'http-request set-var(txn.began) date(0,ms)',
  ];
}

/**
 * Counting. One entry of a stick table for each way an exchange can end (decision, server, class of status, latency,
 * flags): tracking it adds one to it, atomically and without a rule of its own, so that each answered request is counted
 * exactly once. What is not text is put together as one number first (`ENDING`): text is copied at each joint, numbers
 * are not. An amount is added digit by digit: `gpc(i)` counts how often binary digit i was set, and the sum is
 * Σ 2^i · gpc(i).
 */
export function countingRules(parts: RuleParts, files: Files): string[] {
  const { volume, slowMs } = parts.measure;
  const volumeIf = [
    ...(requestConditions(volume.match).length === 0 ? [] : ['{ var(txn.maybe) -m found }']),
    ...(volume.match.status === undefined ? [] : [statusCondition(volume.match.status)]),
    ...(volume.match.header === undefined
      ? []
      : [
          volume.match.header.value === undefined
            ? `{ res.fhdr(${volume.match.header.name}) -m found }`
            : `{ res.fhdr(${volume.match.header.name},1) -m str ${quoted(volume.match.header.value)} }`,
        ]),
  ];
  return [
    HANDOVER_UNCOUNTED,
    'http-response set-var(txn.took) date(0,ms),sub(txn.began)',
    `http-response set-var(txn.ending) status,div(100),mul(${ENDING.statusClass}),add(txn.a)`,
    `http-response set-var(txn.ending) status,div(100),mul(${ENDING.statusClass}) if !{ var(txn.a) -m found }`,
    `http-response set-var(txn.ending) var(txn.took),map_int(${files.latency},0),add(txn.ending)`,
    `http-response set-var(txn.ending) var(txn.ending),add(${ENDING.slow}) if { var(txn.took) -m int gt ${Math.floor(slowMs)} }`,
    `http-response set-var(txn.v) bool(true)${when(volumeIf)}`,
    `http-response set-var(txn.ending) var(txn.ending),add(${ENDING.volume}) if { var(txn.v) -m found }`,
    `http-response track-sc0 srv_name,concat(:,txn.go,:),concat(,txn.ending) table ${TABLES.counts}`,
    ...outcomeRules(parts),
    ...(volume.amountHeader === undefined ? [] : amountRules(volume.amountHeader, parts)),
  ];
}

function when(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` if ${conditions.join(' ')}`;
}

function amountRules(header: string, parts: RuleParts): string[] {
  const zeros = '0'.repeat(AMOUNT_DECIMALS);
  return [
    '# The rest is for exchanges that are transaction volume with an amount.',
    'http-response allow unless { var(txn.v) -m found }',
    'http-response set-var(txn.server) srv_name',
    `http-response set-var(txn.amount) res.fhdr(${header},1)`,
    String.raw`http-response allow unless { var(txn.amount) -m reg -- '^-?[0-9]{1,10}(\.[0-9]+)?\z' }`,
    'http-response set-var(txn.sign) str(-) if { var(txn.amount) -m beg -- - }',
    `http-response set-var(txn.units) var(txn.amount),ltrim(-),field(1,.),mul(${10 ** AMOUNT_DECIMALS})`,
    `http-response set-var(txn.fraction) var(txn.amount),field(2,.),concat(${zeros}),bytes(0,${AMOUNT_DECIMALS}) if { var(txn.amount) -m sub . }`,
    'http-response set-var(txn.units) var(txn.fraction),add(txn.units) if { var(txn.fraction) -m found }',
    `http-response track-sc2 var(txn.go),concat(:,txn.server,:),concat(,txn.sign) table ${TABLES.amounts}`,
    ...Array.from(
      { length: AMOUNT_BITS },
      (_, bit) => `http-response sc-inc-gpc(${bit},2) if { var(txn.units),and(${2n ** BigInt(bit)}) gt 0 }`,
    ),
    ...amountOutcomeRules(parts),
  ];
}

export function markOf(value: string): string {
  return encoded(value);
}
