import type { IncomingMessage } from 'node:http';
import { withoutOwn } from './baggage.ts';
import { forwardedElement, peerAddress } from './forwarded.ts';
import { fieldTokens, headerName, type HeaderName } from './header-name.ts';

/** Why a request is refused before it is routed. */
export class Refusal {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

/** Fields whose value the routing wants to see. */
export interface RequestWatch {
  readonly keyHeader: HeaderName | null;
  readonly transactionHeader: HeaderName | null;
}

/** A request's head, checked, with the fields as they go on to a server. */
export interface RequestHead {
  readonly method: string;
  /** Origin-form target, path and query (`*` for a server-wide OPTIONS). */
  readonly url: string;
  /** `url` without its query. */
  readonly path: string;
  /** Name, value, name, value … without what belongs to one connection only. */
  readonly headers: string[];
  /** The `Cookie` fields, one in a line. */
  readonly cookie: string;
  /**
   * Every `baggage` field, joined; from a caller who is not trusted, without members of ours. Among `headers` only where
   * the gateway has nothing to write there.
   */
  readonly baggage: string;
  readonly keyHeader: string | undefined;
  readonly transactionHeader: string | undefined;
  readonly hasBody: boolean;
  readonly chunked: boolean;
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
  readonly trailer: string | undefined;
}

/** What a head is read for. */
export interface GatewayTraits {
  /** Its pseudonym in `Via`. */
  readonly name: string;
  /** Whether members of ours in the baggage are believed; else they are taken out. */
  readonly trustsContext: boolean;
  /** Whether `baggage` is written when there is a server for the request, instead of now. */
  readonly writesContext: boolean;
}

// uri-host of RFC 3986 (registered name, IPv4, or IP literal) with an optional port; no user information.
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;
const DIGITS = /^\d{1,15}$/;
/** Fields that a `Connection` option may not take away, because routing or framing depends on them. */
const NEVER_HOP = new Set(['host', 'content-length', 'cookie', 'authorization']);

/**
 * Reads and checks a request's head in one pass over its raw fields, so that a field's spelling and order survive.
 * Whatever two parties could read differently is refused (RFC 9112 sections 3.2, 6.1 and 11.2), also where the parser
 * would let it pass.
 */
export function readRequestHead(
  req: IncomingMessage,
  watch: RequestWatch,
  gateway: GatewayTraits,
): RequestHead | Refusal {
  const raw = req.rawHeaders;
  const headers: string[] = [];
  let host: string | undefined;
  let contentLength: string | undefined;
  let transferEncoding: string | undefined;
  let connection: string | undefined;
  let upgrade: string | undefined;
  let expect: string | undefined;
  let trailer: string | undefined;
  let cookie = '';
  let baggage = '';
  let via = '';
  let forwarded = '';
  let forwardedFor = '';
  let forwardedProto: string | undefined;
  let forwardedHost: string | undefined;
  let maxForwards: string | undefined;
  let keyHeader: string | undefined;
  let transactionHeader: string | undefined;

  for (let i = 0; i + 1 < raw.length; i += 2) {
    const spelling = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const name = headerName(spelling);
    // The first occurrence counts where a field that routes is repeated, as in HAProxy's `req.hdr(name,1)`.
    if (name === watch.keyHeader) keyHeader ??= value;
    if (name === watch.transactionHeader) transactionHeader ??= value;
    switch (name.role) {
      case 'host':
        if (host !== undefined) return new Refusal(400, 'more than one Host');
        host = value;
        continue;
      case 'content-length':
        if (contentLength !== undefined) return new Refusal(400, 'more than one Content-Length');
        contentLength = value;
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) return new Refusal(400, 'more than one Transfer-Encoding');
        transferEncoding = value;
        continue;
      case 'connection':
        connection = joined(connection, value);
        continue;
      case 'upgrade':
        upgrade = joined(upgrade, value);
        continue;
      case 'expect':
        expect = joined(expect, value);
        continue;
      case 'trailer':
        trailer = joined(trailer, value);
        continue;
      case 'cookie':
        cookie = cookie === '' ? value : `${cookie}\n${value}`;
        break;
      case 'baggage':
        baggage = baggage === '' ? value : `${baggage},${value}`;
        continue;
      case 'via':
        via = `${via}${value}, `;
        continue;
      case 'forwarded':
        forwarded = `${forwarded}${value}, `;
        continue;
      case 'x-forwarded-for':
        forwardedFor = `${forwardedFor}${value}, `;
        continue;
      case 'x-forwarded-proto':
        forwardedProto ??= value;
        continue;
      case 'x-forwarded-host':
        forwardedHost ??= value;
        continue;
      case 'max-forwards':
        maxForwards = value;
        continue;
      case 'hop':
        continue;
      case 'plain':
      case 'date':
      case 'set-cookie':
        break;
    }
    headers.push(spelling, value);
  }

  const badFraming = refuseFraming(req, contentLength, transferEncoding);
  if (badFraming !== undefined) return badFraming;
  const target = readTarget(req, host);
  if (target instanceof Refusal) return target;
  if (connection !== undefined) {
    const refused = dropNamed(headers, connection);
    if (refused !== undefined) return refused;
    if (baggage !== '' && fieldTokens(connection).includes('baggage')) baggage = '';
  }
  if (baggage !== '') {
    if (!gateway.trustsContext) baggage = withoutOwn(baggage);
    if (!gateway.writesContext && baggage !== '') headers.push('baggage', baggage);
  }
  if (maxForwards !== undefined) {
    if (req.method === 'OPTIONS' && maxForwards === '0') return new Refusal(204, 'Max-Forwards is used up');
    headers.push('Max-Forwards', lessOne(maxForwards));
  }

  const peer = peerAddress(req.socket.remoteAddress);
  headers.push('Via', `${via}${req.httpVersion} ${gateway.name}`);
  headers.push('Forwarded', forwarded + forwardedElement(peer, target.host));
  headers.push('X-Forwarded-For', forwardedFor + peer);
  headers.push('X-Forwarded-Proto', forwardedProto ?? 'http');
  if (target.host !== undefined) {
    headers.push('X-Forwarded-Host', forwardedHost ?? target.host, 'Host', target.host);
  }
  const query = target.url.indexOf('?');
  return {
    method: req.method ?? 'GET',
    url: target.url,
    path: query < 0 ? target.url : target.url.slice(0, query),
    headers,
    cookie,
    baggage,
    keyHeader,
    transactionHeader,
    hasBody: transferEncoding !== undefined || (contentLength !== undefined && Number(contentLength) > 0),
    chunked: transferEncoding !== undefined,
    upgrade,
    expectsContinue: expect?.toLowerCase() === '100-continue' && req.httpVersion === '1.1',
    trailer: transferEncoding === undefined ? undefined : trailer,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

function lessOne(maxForwards: string): string {
  return DIGITS.test(maxForwards) ? String(Math.max(0, Number(maxForwards) - 1)) : maxForwards;
}

/** RFC 9112 section 6.3: how long a body is must not be open to debate. */
function refuseFraming(
  req: IncomingMessage,
  contentLength: string | undefined,
  transferEncoding: string | undefined,
): Refusal | undefined {
  if (contentLength !== undefined && !DIGITS.test(contentLength)) {
    return new Refusal(400, 'Content-Length is not a number');
  }
  if (transferEncoding === undefined) return undefined;
  if (contentLength !== undefined) return new Refusal(400, 'both Content-Length and Transfer-Encoding');
  if (req.httpVersion !== '1.1') return new Refusal(400, 'Transfer-Encoding in HTTP/1.0');
  if (transferEncoding.toLowerCase() !== 'chunked') {
    return new Refusal(501, 'a transfer coding other than chunked');
  }
  return undefined;
}

interface Target {
  readonly url: string;
  readonly host: string | undefined;
}

/** RFC 9112 section 3.2: the authority of an absolute-form target overrides Host. */
function readTarget(req: IncomingMessage, host: string | undefined): Target | Refusal {
  const url = req.url ?? '';
  if (req.method === 'TRACE') return new Refusal(405, 'TRACE would give away what proxies added');
  if (host === undefined ? req.httpVersion !== '1.0' : !HOST.test(host)) {
    return new Refusal(400, 'Host is missing or malformed');
  }
  if (url.startsWith('/')) return { url, host };
  if (url === '*' && req.method === 'OPTIONS') return { url, host };
  const absolute = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(url);
  const authority = absolute?.[1];
  if (authority === undefined || !HOST.test(authority)) return new Refusal(400, 'malformed request target');
  const rest = absolute?.[2] ?? '';
  return { url: rest.startsWith('/') ? rest : `/${rest}`, host: authority };
}

/** Drops the fields that `Connection` names as meant for this hop only (RFC 9110 section 7.6.1). */
function dropNamed(headers: string[], connection: string): Refusal | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined;
  for (const token of fieldTokens(connection)) {
    if (token === 'keep-alive' || token === 'close' || token === 'upgrade') continue;
    if (NEVER_HOP.has(token)) return new Refusal(400, `Connection may not name ${token}`);
    for (let i = headers.length - 2; i >= 0; i -= 2) {
      if (headers[i]?.toLowerCase() === token) headers.splice(i, 2);
    }
  }
  return undefined;
}
