import { OWN_PREFIX } from '../gateway/baggage.ts';
import type { Files, RuleParts } from './layout.ts';
import { releaseBy } from './unit-rules.ts';

/**
 * Members of W3C baggage with a routing decision, as in src/gateway/baggage.ts: what clients send of them is taken out,
 * also where a key only reads so once it is decoded, since libraries on the way decode keys.
 */

/**
 * `%` itself may be encoded, and that again. What repeats here is possessive (`*+`): nothing of it is ever given back, and
 * a pattern that remembered each repetition would fail on a long field for want of room, which HAProxy takes for no match.
 */
const PERCENT = '%(?:25)*+';
/** What whoever decodes a key may trim: white space, control characters, and `+` for a space. */
const TRIMMED = String.raw`(?:[\x00-\x20\x7f\xa0+]|${PERCENT}(?:[01][0-9a-f]|20|7f|a0|2b))*+`;
/** A digit of an encoding that is itself encoded has no honest use. */
const NESTED = `[^=;,]*${PERCENT}[0-9a-f]?%`;
/** Without regard to upper or lower case. */
const OWN_KEY = `(?:${TRIMMED}${Array.from(OWN_PREFIX, asWrittenOrEncoded).join('')}|${NESTED})`;

/** Octets that are UTF-8 (RFC 3629 section 4): of anything else, libraries on the way make an error. */
const UTF8 = String.raw`^(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+\z`;

function asWrittenOrEncoded(char: string): string {
  const codes = new Set([char, char.toUpperCase()].map((one) => one.charCodeAt(0).toString(16)));
  return `(?:${char === '.' ? String.raw`\.` : char}|${PERCENT}(?:${[...codes].join('|')}))`;
}

/**
 * Only where a key of ours is found, the header is put together anew: all its fields in one, without these members and
 * without empty ones. Splitting is by each comma, as W3C has it; HAProxy's own splitting would heed quotes.
 */
export const STRIP_RULES = [
  '# W3C baggage: what clients say of routes is taken out, all else stays.',
  `http-request set-var(txn.smuggled) bool(true) if { req.fhdr_cnt(baggage) gt 0 } { req.fhdr(baggage) -m reg -i -- '(?:^|,)${OWN_KEY}' }`,
  `http-request set-var(txn.baggage) ${word(
    [
      'req.hdrs',
      // Fields of that name, one after the other; then members, each after a comma.
      String.raw`regsub('((?:baggage:[^\n]*\n)*)(?!baggage:)[^\n]*\n','\1',gi)`,
      String.raw`regsub('\r?\n?baggage:',',',gi)`,
      String.raw`regsub('[\r\n]+','',g)`,
      `regsub(',${OWN_KEY}[^,]*','',gi)`,
      String.raw`regsub(',[ \t]*(?=,|\z)','',g)`,
      String.raw`regsub('\A,[ \t]*','')`,
    ].join(','),
  )} if { var(txn.smuggled) -m found }`,
  'http-request del-header baggage if { var(txn.smuggled) -m found }',
  'http-request add-header baggage %[var(txn.baggage)] if { var(txn.baggage),length gt 0 }',
];

/** Part of a condition: the request goes to a server, and does not wait for what a process before knows of it. */
export const NOT_WAITING = ' !{ var(txn.hop) -m found }';

/** What was decided here, for sidecars behind the service (docs/routing-context.md). */
export function contextRules(service: string, files: Files, parts: RuleParts): string[] {
  const transactions = parts.transactions !== null && parts.transactions !== undefined;
  const here = transactions ? NOT_WAITING : '';
  return [
    '# What was decided here travels on.',
    `http-request add-header baggage changeover.route.${service}=%[${releaseBy(files.routes)}]${here === '' ? '' : ` if${here}`}`,
    `http-request add-header baggage changeover.key=%[var(txn.key),url_enc] if { var(txn.key) -m found } { var(txn.key) -m reg -- '${UTF8}' }${here}`,
    ...(transactions
      ? [
          `http-request add-header baggage changeover.transaction=%[var(txn.id),url_enc] if { var(txn.id) -m found } { var(txn.id) -m reg -- '${UTF8}' }${here}`,
          `http-request add-header baggage changeover.transaction=%[uuid] if !{ var(txn.id) -m found }${here}`,
        ]
      : ['http-request add-header baggage changeover.transaction=%[uuid]']),
  ];
}

/** One word of a configuration line in double quotes (configuration.txt 2.2), with single quotes for its own arguments. */
function word(expression: string): string {
  return `"${expression.replace(/[\\"$]/g, String.raw`\$&`)}"`;
}
