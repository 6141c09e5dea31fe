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

/**
 * Value of a cookie, the last where it is repeated, without quotes around it. Read as HAProxy reads it (`req.cook`): white
 * space around `=` counts as none, a comma separates as `;` does, and neither does inside quotes, which end with their field.
 * A cookie without a value that ends its list is none.
 *
 * @param cookies - the `Cookie` fields of a request, one in a line.
 */
export function cookieValue(cookies: string, name: string): string | undefined {
  // Most requests that have no such cookie are done with this.
  if (!cookies.includes(name) || name.startsWith('$')) return undefined;
  let found: string | undefined;
  for (const field of cookies.includes('\n') ? cookies.split('\n') : [cookies]) {
    for (let from = 0; from <= field.length;) {
      const to = endOutsideQuotes(field, from, ',');
      found = valueIn(withoutBlanks(field, from, to), name) ?? found;
      from = to + 1;
    }
  }
  return found !== undefined && /^".*"$/.test(found) ? found.slice(1, -1) : found;
}

/** In a list of cookies that no comma divides, unless in a name with quotes. */
function valueIn(list: string, name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at + name.length + 1 < list.length; at += 1) {
    const from = at;
    while (at < list.length && !isOneOf(list[at], '=;,')) at += 1;
    if (list[at] !== '=') continue;
    const isWanted = withoutBlanks(list, from, at) === name;
    const valueFrom = afterBlanks(list, at + 1);
    at = endOutsideQuotes(list, valueFrom, ';,');
    if (isWanted) found = withoutBlanks(list, valueFrom, at);
  }
  return found;
}

/** Where the first of some separators is, or the end. */
function endOutsideQuotes(text: string, from: number, separators: string): number {
  for (let at = from, quoted = false; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') quoted = !quoted;
    else if (quoted && char === '\\') at += 1;
    else if (!quoted && isOneOf(char, separators)) return at;
  }
  return text.length;
}

function afterBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text[at])) at += 1;
  return at;
}

/** Spaces and tabs only: of octets, JavaScript's `trim` takes more. */
function withoutBlanks(text: string, from: number, to: number): string {
  const start = Math.min(afterBlanks(text, from), to);
  let end = to;
  while (end > start && isBlank(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t';
}

function isOneOf(char: string | undefined, chars: string): boolean {
  return char !== undefined && chars.includes(char);
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
