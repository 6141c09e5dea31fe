import { octetsOf } from '../domain/policy/route-key.ts';

/**
 * W3C Baggage (https://www.w3.org/TR/baggage/), as far as a gateway has to do with it. Members that are not ours leave
 * as they came, octet by octet: the propagators of tracing libraries decode and encode anew what they pass on.
 */

/** Keys of our members begin so. */
export const OWN_PREFIX = 'changeover.';
export const KEY_MEMBER = 'changeover.key';
export const TRANSACTION_MEMBER = 'changeover.transaction';

export function routeMember(service: string): string {
  return `changeover.route.${service}`;
}

/** What every platform passes on (section 3.3.2), and the number of members that OpenTelemetry reads. */
export const MAX_BYTES = 8_192;
export const MAX_MEMBERS = 180;

const BROKEN_ENCODING = /%(?![0-9A-Fa-f]{2})/;
const KEY_END = /[=;]/;
/** Where none of it is found, nothing of ours is in there, nor anything that decodes to it. */
const PERHAPS_OURS = /changeover|%/i;
/** A key that is encoded deeper than this has no honest use. */
const MAX_DECODINGS = 8;

/** Raw members, without empty ones; neither a value nor a property can hold a comma (section 3.3.1). */
export function membersOf(baggage: string): string[] {
  return baggage
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/**
 * Value of the first member with this key, percent-decoded into octets, as keys are; undefined where there is none, or
 * its encoding is broken.
 */
export function memberValue(baggage: string, key: string): string | undefined {
  // Most baggage does not have it: one search, and nothing is taken apart.
  if (!baggage.includes(key)) return undefined;
  const member = membersOf(baggage).find((one) => rawKey(one) === key);
  const equals = member?.search(KEY_END) ?? -1;
  if (member === undefined || member[equals] !== '=') return undefined;
  const properties = member.indexOf(';', equals);
  const value = member.slice(equals + 1, properties < 0 ? undefined : properties).trim();
  if (!value.includes('%')) return value;
  return BROKEN_ENCODING.test(value) ? undefined : value.replaceAll(/%([0-9a-f]{2})/gi, octet);
}

/** A member of ours; the value is text, or a string of octets as keys are. Percent-encoded, as section 3.3.1 wants it. */
export function ownMember(key: string, value: string): string {
  return `${key}=${octetsOf(value).replaceAll(/[^A-Za-z0-9._~-]/g, percentEncoded)}`;
}

/** Whether octets are UTF-8: of anything else, libraries on the way make an error. */
export function isUtf8(octets: string): boolean {
  return Buffer.from(Buffer.from(octets, 'latin1').toString('utf8'), 'utf8').toString('latin1') === octets;
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/**
 * Without all members whose key begins with `changeover.`, also where it only does so once it is decoded: libraries on
 * the way decode keys, and hand on what was a harmless name as one of ours.
 */
export function withoutOwn(baggage: string): string {
  return PERHAPS_OURS.test(baggage) ? without(baggage, (member) => isOwn(rawKey(member))) : baggage;
}

/** Without the members that have this key; as it came where there are none. */
export function withoutMember(baggage: string, key: string): string {
  return baggage.includes(key) ? without(baggage, (member) => rawKey(member) === key) : baggage;
}

/**
 * Our members before the others: what is added on the way later pushes others over a limit, not these. Null where it
 * would be more than is passed on everywhere; then ours have to stay away, never the others.
 */
export function joinedBaggage(own: readonly string[], others: string): string | null {
  const joined = (others === '' ? own : [...own, others]).join(',');
  return joined.length <= MAX_BYTES && membersOf(joined).length <= MAX_MEMBERS ? joined : null;
}

function without(baggage: string, isMeant: (member: string) => boolean): string {
  const members = membersOf(baggage);
  const others = members.filter((member) => !isMeant(member));
  return others.length === members.length ? baggage : others.join(',');
}

function rawKey(member: string): string {
  const end = member.search(KEY_END);
  return (end < 0 ? member : member.slice(0, end)).trim();
}

function isOwn(key: string): boolean {
  let name = key;
  for (let round = 0; round < MAX_DECODINGS; round += 1) {
    // Whoever decodes keys may also trim them, take `+` for a space, or ignore case.
    const next = name
      .replaceAll('+', ' ')
      .replaceAll(/%([0-9a-f]{2})/gi, octet)
      .trim();
    if (next === name) return strippedOfControls(next).toLowerCase().startsWith(OWN_PREFIX);
    name = next;
  }
  return true;
}

function octet(_text: string, hex: string): string {
  return String.fromCharCode(parseInt(hex, 16));
}

function strippedOfControls(name: string): string {
  let start = 0;
  while (start < name.length && (name.charCodeAt(start) <= 0x20 || name.charCodeAt(start) === 0x7f))
    start += 1;
  return name.slice(start);
}
