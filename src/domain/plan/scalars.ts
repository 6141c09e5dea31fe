import { z } from 'zod';
import { parseDurationMs } from '../duration.ts';

/** The small words of a plan. Every message begins with `must`, so that it can follow the field's name. */

export const nameSchema = z
  .string('must be a name: lower-case letters, digits and dashes')
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'must be a name: lower-case letters, digits and dashes, at most 63 characters',
  );

export const versionSchema = z
  .string('must be a version in quotes, such as "1.4" or "2.0-a"')
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$/,
    'must be a version such as 1.4 or 2.0-a: letters, digits and . _ + -, at most 63 characters',
  );

/** A version as routes and evidence name it: where an A/A test runs one on several clusters, with its cluster. */
export const armSchema = z
  .string('must be a version in quotes, such as "1.4" or "2.0-a"')
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}(@[a-z0-9][a-z0-9-]{0,62})?$/,
    'must be a version such as 1.4 or 2.0-a, in an A/A test with its cluster, such as 1.4@blue',
  );

const DURATION_MESSAGE = 'must be a duration such as 90s, 10m or 1h';
/** Longest timer that every part can set (2^31 − 1 ms is 24.8 days). */
const MAX_DURATION_MS = 14 * 24 * 3_600_000;

/** `90s`, `10m`, `1.5h` → milliseconds. */
export const durationSchema = z
  .string(DURATION_MESSAGE)
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, { error: DURATION_MESSAGE, abort: true })
  .refine((text) => {
    const durationMs = parseDurationMs(text) ?? 0;
    return durationMs > 0 && durationMs <= MAX_DURATION_MS;
  }, 'must be a duration longer than 0s and at most 14d')
  .transform((text) => parseDurationMs(text) ?? 0);

const SHARE_MESSAGE = 'must be a share from 0% to 100%, such as 5% or 0.05';

/** `5%` or `0.05` → 0.05. */
export const shareSchema = z
  .union([z.string().regex(/^\d+(\.\d+)?%$/, SHARE_MESSAGE), z.number()], SHARE_MESSAGE)
  .transform((value) => (typeof value === 'number' ? value : Number(value.slice(0, -1)) / 100))
  .refine((value) => value >= 0 && value <= 1, SHARE_MESSAGE);

const ADDRESS_MESSAGE = 'must be an http or https address such as http://10.0.0.1:8080';

/** An origin: what is sent there brings its own path. Credentials belong to the processes' configuration. */
export const addressSchema = z
  .url({
    protocol: /^https?$/,
    hostname: /^(?:[\w.-]+|\[[0-9a-f:.]+\])$/i,
    error: ADDRESS_MESSAGE,
    abort: true,
  })
  .refine(
    (text) => isOrigin(text),
    'must be only scheme, host and port, such as http://10.0.0.1:8080: no path, query or credentials',
  );

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return true; // said already
  const { username, password, pathname, search, hash } = new URL(text);
  return username === '' && password === '' && pathname === '/' && search === '' && hash === '';
}

/** What names of header fields, cookies and members of baggage are made of (`token`, RFC 9110 section 5.6.2). */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const TOKEN_HOLDS = "letters, digits and ! # $ % & ' * + - . ^ _ ` | ~";

const HEADER_NAME_MESSAGE = `must be a header name: ${TOKEN_HOLDS}`;
export const headerNameSchema = z.string(HEADER_NAME_MESSAGE).regex(TOKEN, HEADER_NAME_MESSAGE).toLowerCase();

/** A header name as it was written. */
export const spelledHeaderSchema = z.string(HEADER_NAME_MESSAGE).regex(TOKEN, HEADER_NAME_MESSAGE);

const COOKIE_NAME_MESSAGE = `must be a cookie name: ${TOKEN_HOLDS}`;
export const cookieNameSchema = z.string(COOKIE_NAME_MESSAGE).regex(TOKEN, COOKIE_NAME_MESSAGE);

const BAGGAGE_NAME_MESSAGE = `must be the key of a baggage member, such as changeover.key: ${TOKEN_HOLDS}`;
export const baggageNameSchema = z.string(BAGGAGE_NAME_MESSAGE).regex(TOKEN, BAGGAGE_NAME_MESSAGE);

const QUERY_NAME_MESSAGE =
  'must be a parameter name as it stands in a URL, so percent-encoded where need be: printable ASCII without spaces and = & ; ? #';
export const queryNameSchema = z
  .string(QUERY_NAME_MESSAGE)
  .regex(/^(?:(?![=&;?#])[!-~])+$/, QUERY_NAME_MESSAGE);

const HEADER_VALUE_MESSAGE =
  'must be a header value: one line without control characters, and without white space around it';
export const headerValueSchema = z
  .string(HEADER_VALUE_MESSAGE)
  .regex(/^(?![ \t])[^\0-\x08\x0a-\x1f\x7f]*$(?<![ \t])/, HEADER_VALUE_MESSAGE);

export const methodSchema = z.string().regex(/^[A-Z]+$/, 'must be a method in capitals such as POST');

export const pathSchema = z
  .string()
  .regex(
    /^\/[^?#*\s\0-\x1f\x7f]*\*?$/,
    'must be a path such as /buy, or /buy/* for all below it, as it stands in a URL: without white space, ? # and other *',
  );
