/** What a field means to a gateway; `plain` ones just travel on. */
export type HeaderRole =
  | 'plain'
  /** Of one connection only (RFC 9110 section 7.6.1): never forwarded. */
  | 'hop'
  | 'connection'
  | 'content-length'
  | 'transfer-encoding'
  | 'host'
  | 'upgrade'
  | 'expect'
  | 'trailer'
  | 'cookie'
  | 'baggage'
  | 'set-cookie'
  | 'via'
  | 'forwarded'
  | 'x-forwarded-for'
  | 'x-forwarded-proto'
  | 'x-forwarded-host'
  | 'max-forwards'
  | 'date';

/** A field name, interned: the same name in whatever case is the same object, so that comparing is an identity test. */
export interface HeaderName {
  readonly lower: string;
  readonly role: HeaderRole;
}

const ROLES: Readonly<Record<string, HeaderRole>> = {
  connection: 'connection',
  'keep-alive': 'hop',
  'proxy-connection': 'hop',
  'proxy-authenticate': 'hop',
  'proxy-authorization': 'hop',
  te: 'hop',
  'http2-settings': 'hop',
  'content-length': 'content-length',
  'transfer-encoding': 'transfer-encoding',
  host: 'host',
  upgrade: 'upgrade',
  expect: 'expect',
  trailer: 'trailer',
  cookie: 'cookie',
  baggage: 'baggage',
  'set-cookie': 'set-cookie',
  via: 'via',
  forwarded: 'forwarded',
  'x-forwarded-for': 'x-forwarded-for',
  'x-forwarded-proto': 'x-forwarded-proto',
  'x-forwarded-host': 'x-forwarded-host',
  'max-forwards': 'max-forwards',
  date: 'date',
};

/** Names come from clients, so what is remembered of them is bounded; the rest is worked out each time. */
const MAX_INTERNED = 4096;
const bySpelling = new Map<string, HeaderName>();
const byLower = new Map<string, HeaderName>();

/** The interned name for a spelling, such as `Content-Length`. */
export function headerName(spelling: string): HeaderName {
  const known = bySpelling.get(spelling);
  if (known !== undefined) return known;
  const lower = spelling.toLowerCase();
  let name = byLower.get(lower);
  if (name === undefined) {
    name = { lower, role: Object.hasOwn(ROLES, lower) ? (ROLES[lower] ?? 'plain') : 'plain' };
    if (byLower.size >= MAX_INTERNED) return name;
    byLower.set(lower, name);
  }
  if (bySpelling.size < MAX_INTERNED) bySpelling.set(spelling, name);
  return name;
}

/** As `headerName`, for names of the routing configuration, which are few and must always be interned. */
export function configuredHeaderName(spelling: string): HeaderName {
  const name = headerName(spelling);
  byLower.set(name.lower, name);
  return name;
}

/** The tokens of a comma-separated field such as `Connection`, in lower case. */
export function fieldTokens(value: string): string[] {
  return value
    .split(',')
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== '');
}
