import type { KeySource } from '../domain/policy/policy.ts';
import { memberValue } from './baggage.ts';
import type { RequestHead } from './request-head.ts';

/** Finds the routing key of a request, before any look-up, as a string of octets; undefined where there is none. */
export type FindKey = (head: RequestHead) => string | undefined;

/**
 * Compiles where a key comes from. For a header, `RequestWatch.keyHeader` must have been set to its name; one that is
 * not watched is searched for in each request.
 */
export function compileKeySource(source: KeySource, { watched = true } = {}): FindKey {
  switch (source.from) {
    case 'header': {
      if (watched) return (head) => head.keyHeader;
      const name = source.name.toLowerCase();
      return (head) => headerValue(head.headers, name);
    }
    case 'baggage': {
      const { name } = source;
      return (head) => memberValue(head.baggage, name);
    }
    case 'cookie': {
      const { name } = source;
      return (head) => cookieValue(head.cookie, name);
    }
    case 'query': {
      const { name } = source;
      return (head) => queryValue(head.url, name);
    }
    case 'path': {
      const { segment } = source;
      return (head) => decoded(head.path.split('/', segment + 1)[segment], false);
    }
  }
}

/** Value of a cookie in a `Cookie` field (RFC 6265 section 4.2.1), the first where it is repeated. */
export function cookieValue(cookie: string, name: string): string | undefined {
  let at = 0;
  while (at < cookie.length) {
    let end = cookie.indexOf(';', at);
    if (end < 0) end = cookie.length;
    while (cookie[at] === ' ') at += 1;
    if (cookie[at + name.length] === '=' && cookie.startsWith(name, at)) {
      const value = cookie.slice(at + name.length + 1, end).trim();
      return value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
    }
    at = end + 1;
  }
  return undefined;
}

function headerValue(headers: readonly string[], lower: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const spelling = headers[i] ?? '';
    if (spelling.length === lower.length && spelling.toLowerCase() === lower) return headers[i + 1];
  }
  return undefined;
}

/** The first parameter of that name with a value. Read as HAProxy reads it: `;` and `?` separate parameters as `&` does. */
function queryValue(url: string, name: string): string | undefined {
  const start = url.indexOf('?');
  if (start < 0) return undefined;
  for (const pair of url.slice(start + 1).split(/[&;?]/)) {
    if (pair.startsWith(name) && pair[name.length] === '=') return decoded(pair.slice(name.length + 1), true);
  }
  return undefined;
}

/**
 * Percent-decoded into octets, which need not be UTF-8; undefined where the encoding is broken, which makes the key
 * unusable rather than guessed.
 */
function decoded(part: string | undefined, plusIsSpace: boolean): string | undefined {
  if (part === undefined) return undefined;
  const spaced = plusIsSpace ? part.replaceAll('+', ' ') : part;
  if (!spaced.includes('%')) return spaced;
  if (/%(?![0-9A-Fa-f]{2})/.test(spaced)) return undefined;
  return spaced.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}
