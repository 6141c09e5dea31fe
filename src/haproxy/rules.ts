import { ChangeoverError } from '../domain/errors.ts';
import { MAX_KEY_OCTETS } from '../domain/policy/route-key.ts';
import { contextRules, STRIP_RULES } from './baggage-rules.ts';
import { AT_HOME, hashSlot, MOVED, SLOT_IS_KNOWN } from './conditions.ts';
import { HANDOVER_RULES, handoverWays, WAITING_RULES } from './handover.ts';
import {
  encoded,
  fetchOf,
  type Files,
  GO,
  GROUP_HELD_BACK,
  HOME_BASE,
  quoted,
  RANGE_FAR,
  RANGE_ZERO,
  type RuleParts,
  SPECIAL,
  TABLES,
} from './layout.ts';
import { trialRules } from './unit-rules.ts';

/** The number that the routes map has for a whole key. It is searched as a tree, whatever the number of servers in it. */
function lookUp(files: Files): string {
  return `map_str(${files.routes}),add(0)`;
}

/** The same of the range that a number lies in: a list, in which ranges come first. */
function lookUpRange(files: Files): string {
  return `map_int(${files.routes}),add(0)`;
}

function special(name: keyof typeof SPECIAL, files: Files): string {
  return `str(${SPECIAL[name]}),${lookUp(files)}`;
}

/** Where the key is; the same requests have the same key in the embedded gateway (src/gateway/request-key.ts). */
export function keyFetch(key: NonNullable<RuleParts['account']>): string {
  switch (key.from) {
    case 'header':
      return fetchOf('req.fhdr', key.name, 1);
    case 'cookie':
      // Quotes around a value are no part of it.
      return `${fetchOf('req.cook', key.name)},${quoted(String.raw`regsub('^"(.*)"$','\1')`)}`;
    case 'query':
      return `${fetchOf('url_param', key.name)},url_dec(1)`;
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

/** Key → decision, as a number by `GO`. */
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
    '# A stage: the slots of a second hash from some slot on stay on the baseline.',
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
    `http-request set-var(txn.group) var(txn.go) if { var(txn.go) -m int lt ${GO.slot} }`,
    'http-request unset-var(txn.go) if { var(txn.group) -m found }',
    `http-request set-var(txn.dealt) ${keyFetch(account)}`,
    `http-request unset-var(txn.dealt) unless { var(txn.dealt),length 1:${MAX_KEY_OCTETS} }`,
    'http-request unset-var(txn.group) unless { var(txn.dealt) -m found }',
    `http-request set-var(txn.go) ${hashSlot('policySalt', files, 'dealt')},add(txn.group),map_beg(${files.routes}),add(0) if { var(txn.group) -m found }`,
  ];
}

function heldBackRules({ account }: RuleParts, files: Files): string[] {
  const dealt = hashSlot('stageSalt', files, account === undefined ? 'key' : 'dealt');
  const isHeld = `{ var(txn.go),and(${GO.open * GO.openMost}) gt 0 } { var(txn.go),div(${GO.open}),and(${GO.openMost}),set-var(txn.open) -m found } { ${dealt},add(1),sub(txn.open) ge 0 }`;
  const all = `http-request set-var(txn.go) ${special('heldBack', files)} if ${isHeld}`;
  if (account === undefined) return [all];
  return [
    `http-request set-var(txn.held) bool(true) if ${isHeld}`,
    `http-request set-var(txn.go) ${special('heldBack', files)} if { var(txn.held) -m found }`,
    `http-request set-var(txn.go) var(txn.group),add(${GROUP_HELD_BACK}),${lookUp(files)} if { var(txn.held) -m found } { var(txn.group) -m found }`,
  ];
}

function policyRules(parts: RuleParts, files: Files): string[] {
  switch (parts.policy) {
    case 'tail':
      return [`http-request set-var(txn.go) var(txn.key),map_end(${files.digits}),${lookUp(files)}`];
    case 'hash':
      return [
        `http-request set-var(txn.go) ${hashSlot('policySalt', files, 'key')},${lookUpRange(files)} if { var(txn.key) -m found }`,
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

/**
 * Bits that differ where the policy's decision is for another slot than the transaction's, or only one was allotted by it, or
 * turned away.
 */
const DIFFERING = `var(txn.go),xor(txn.home),and(${2n ** 63n - BigInt(GO.slot) + BigInt(GO.unallotted + GO.turnedAway)})`;

/**
 * Transactions go on where they began; where nobody can take what was decided, the refuges do. `context`: further rules
 * for what services behind this one are told; null: they are told nothing. `tls`: whether TLS ends at this HAProxy.
 */
export function destinationRules(
  parts: RuleParts,
  files: Files,
  { service, context, tls }: { service: string; context: readonly string[] | null; tls: boolean },
): string[] {
  const pinned = transactionRules(parts, files);
  const elsewhere = pinned.length === 0 ? '' : `!${AT_HOME} `;
  const isEmpty = `${SLOT_IS_KNOWN} { str(${service}_),concat(,txn.slot),nbsrv eq 0 }`;
  return [
    ...HANDOVER_RULES,
    ...pinned,
    '# Where nobody could take it; what was decided is noted.',
    `http-request set-var(txn.go) var(txn.go),set-var(txn.wanted),and(0),add(${SPECIAL.refuge}),${lookUp(files)} if ${elsewhere}${isEmpty}`,
    `http-request set-var(txn.go) ${special('secondRefuge', files)} if ${MOVED} ${isEmpty}`,
    ...STRIP_RULES,
    ...(context === null ? [] : [...contextRules(service, files, parts), ...context]),
    ...handoverWays({ tls }),
    `use_backend ${service}_%[var(txn.go),div(${GO.slot})]`,
  ];
}

function transactionRules({ transactions }: RuleParts, files: Files): string[] {
  if (transactions === null || transactions === undefined) return [];
  if (transactions.id.from === 'baggage') throw withoutBaggage();
  const homeBy = (table: string): string =>
    `var(txn.id),table_server_id(${table}),set-var(txn.at),add(${HOME_BASE}),${lookUp(files)}`;
  return [
    '# A transaction goes on in the slot of the server on which it began.',
    `http-request set-var(txn.id) ${transactions.id.from === 'header' ? fetchOf('req.fhdr', transactions.id.name, 1) : fetchOf('req.cook', transactions.id.name)}`,
    'http-request unset-var(txn.id) unless { var(txn.id),length 1:256 }',
    ...(transactions.endHeader === undefined
      ? []
      : [`http-request unset-var(txn.id) if { var(txn.id),in_table(${TABLES.ended}) }`]),
    '# It counts as allotted by the policy if it began so, wherever its key would begin one now.',
    `http-request set-var(txn.home) ${homeBy(TABLES.transactions)}`,
    `http-request set-var(txn.home) ${homeBy(TABLES.unallotted)},add(${GO.otherwise + GO.unallotted}) if !${AT_HOME}`,
    ...WAITING_RULES,
    `http-request set-var(txn.go) var(txn.home) if { ${DIFFERING} gt 0 }`,
  ];
}

export function markOf(value: string): string {
  return encoded(value);
}
