import { AMOUNT_DECIMALS, AMOUNT_PATTERN } from '../domain/amount.ts';
import type { ExchangeMatch } from '../domain/measure.ts';
import { utf8Octets } from '../domain/policy/route-key.ts';
import { COUNTED, VOLUME, when } from './conditions.ts';
import {
  AMOUNT_BITS,
  AMOUNT_KEY,
  COUNT_KEY,
  encodedOctets,
  ENDING,
  fetchOf,
  type Files,
  GO,
  quoted,
  type RuleParts,
  TABLES,
} from './layout.ts';
import { digitRules } from './digit-rules.ts';
import { amountOutcomeRules, outcomeRules } from './unit-rules.ts';

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

function headerCondition({ name, value }: NonNullable<ExchangeMatch['header']>): string {
  if (value === undefined) return `{ ${fetchOf('res.fhdr', name)} -m found }`;
  const first = fetchOf('res.fhdr', name, 1);
  if (value === '') return `{ ${first},length eq 0 }`;
  // Quoted or not, a `}` would end the condition, and what begins with a dash would be a flag of it.
  return /^\w[\w./:-]*$/.test(value)
    ? `{ ${first} -m str ${value} }`
    : `{ ${first},url_enc -m str -- ${encodedOctets(utf8Octets(value))} }`;
}

/** What the counting rules have to remember of the request. */
export function noteRules({ measure }: RuleParts): string[] {
  const allocatedIf = requestConditions(measure.allocated);
  const volumeIf = requestConditions(measure.volume.match);
  return [
    // Here and not behind, where rules of the owner may have changed the path.
    ...(allocatedIf.length === 0 ? [] : [`http-request set-var(txn.named) bool(true)${when(allocatedIf)}`]),
    ...(volumeIf.length === 0 ? [] : [`http-request set-var(txn.maybe) bool(true)${when(volumeIf)}`]),
    'http-request set-var(txn.began) date(0,ms)',
  ];
}

/** In the slot's backend: what is known by then of how the exchange is counted. Nothing else is. */
export function endingRules({ measure }: RuleParts): string[] {
  const begun = `var(txn.go),and(${GO.number}),mul(${COUNT_KEY.number})`;
  const allocatedIf =
    requestConditions(measure.allocated).length === 0 ? [] : ['{ var(txn.named) -m found }'];
  return [
    '# What counts.',
    `http-request set-var(txn.ending) ${begun},add(${ENDING.allocated})${when(allocatedIf)}`,
    ...(allocatedIf.length === 0
      ? []
      : [`http-request set-var(txn.ending) ${begun} unless { var(txn.ending) -m found }`]),
  ];
}

/**
 * Counting. One entry of a stick table for each way an exchange can end (decision, server, class of status, latency,
 * flags): tracking it adds one to it, atomically and without a rule of its own, so that each answered request is counted
 * exactly once. The way is one number (`COUNT_KEY`): text is copied wherever it is kept or joined, numbers are not. An
 * amount is added digit by digit: `gpc(i)` counts how often binary digit i was set, and the sum is Σ 2^i · gpc(i).
 */
export function countingRules(parts: RuleParts, files: Files): string[] {
  const { volume, slowMs } = parts.measure;
  const volumeIf = [
    ...(requestConditions(volume.match).length === 0 ? [] : ['{ var(txn.maybe) -m found }']),
    ...(volume.match.status === undefined ? [] : [statusCondition(volume.match.status)]),
    ...(volume.match.header === undefined ? [] : [headerCondition(volume.match.header)]),
  ];
  return [
    `http-response set-var(txn.ending) date(0,ms),sub(txn.began),set-var(txn.took),map_int(${files.latency},0),add(txn.ending)`,
    `http-response set-var(txn.ending) status,div(100),mul(${ENDING.statusClass}),add(txn.ending)`,
    `http-response set-var(txn.ending) var(txn.ending),add(${ENDING.slow}) if { var(txn.took) -m int gt ${Math.floor(slowMs)} }`,
    `http-response set-var(txn.ending) var(txn.ending),add(${ENDING.volume})${when(volumeIf)}`,
    `http-response track-sc0 srv_id,mul(${COUNT_KEY.server}),add(txn.ending) table ${TABLES.counts}`,
    ...(volume.amountHeader === undefined
      ? outcomeRules(parts)
      : [
          '# The rest is for transaction volume, and for the decision.',
          `http-response allow unless ${VOLUME} or ${COUNTED}`,
          ...outcomeRules(parts),
          ...amountRules(volume.amountHeader, parts),
        ]),
  ];
}

/** Up to 1,677 of what is counted in. */
const USUAL_BITS = 24;

function amountRules(header: string, parts: RuleParts): string[] {
  const zeros = '0'.repeat(AMOUNT_DECIMALS);
  return [
    '# The rest is for exchanges that are transaction volume with an amount.',
    `http-response allow unless ${VOLUME}`,
    `http-response set-var(txn.amount) ${fetchOf('res.fhdr', header, 1)}`,
    'http-response allow unless { var(txn.amount) -m found }',
    `http-response set-var(txn.unread) bool(true) unless { var(txn.amount) -m reg -- '^${AMOUNT_PATTERN}\\z' }`,
    'http-response set-var(txn.sign) int(1) if { var(txn.amount) -m beg -- - }',
    `http-response set-var(txn.signed) var(txn.go),and(${GO.number}),mul(${AMOUNT_KEY.number})`,
    `http-response set-var(txn.signed) var(txn.signed),add(${AMOUNT_KEY.belowZero}) if { var(txn.sign) -m found }`,
    `http-response set-var(txn.signed) var(txn.signed),add(${AMOUNT_KEY.unread}) if { var(txn.unread) -m found }`,
    `http-response track-sc2 srv_id,mul(${AMOUNT_KEY.server}),add(txn.signed) table ${TABLES.amounts}`,
    '# What is no amount is counted as that.',
    'http-response sc-inc-gpc(0,2) if { var(txn.unread) -m found }',
    'http-response allow if { var(txn.unread) -m found }',
    '# There need not be a digit before the point, or behind it.',
    'http-response set-var(txn.digits) var(txn.amount),ltrim(-+)',
    `http-response set-var(txn.units) str(0),concat(,txn.digits),field(1,.),mul(${10 ** AMOUNT_DECIMALS})`,
    `http-response set-var(txn.fraction) var(txn.amount),field(2,.),concat(${zeros}),bytes(0,${AMOUNT_DECIMALS}) if { var(txn.amount) -m sub . }`,
    'http-response set-var(txn.units) var(txn.fraction),add(txn.units) if { var(txn.fraction) -m found }',
    ...digitRules({ of: 'units', in: 2, to: USUAL_BITS }),
    '# Most amounts are small.',
    `http-response allow unless { var(txn.units),div(${2 ** USUAL_BITS}) gt 0 } or ${COUNTED}`,
    ...digitRules({ of: 'units', in: 2, from: USUAL_BITS, to: AMOUNT_BITS }),
    ...amountOutcomeRules(parts),
  ];
}
