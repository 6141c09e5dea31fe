import { fieldTokens, headerName, type HeaderName } from './header-name.ts';

/** Fields of a response that counting and transactions want to see; null where there is none. */
export interface ResponseWatch {
  readonly volumeHeader: HeaderName | null;
  readonly amountHeader: HeaderName | null;
  readonly transactionHeader: HeaderName | null;
  readonly transactionCookie: string | null;
  readonly endHeader: HeaderName | null;
}

/** A response's fields as they go on to the client, and what was watched for. */
export interface ResponseHead {
  /** Name, value, name, value … without what belongs to one connection only. */
  readonly headers: string[];
  /** Bytes of the body, or -1 where that is not said. */
  readonly contentLength: number;
  /** True where trailers may follow and are announced. */
  readonly announcesTrailers: boolean;
  readonly volumeHeader: string | undefined;
  readonly amountHeader: string | undefined;
  readonly transactionHeader: string | undefined;
  /** Value that the transaction's cookie was set to; empty where it was deleted. */
  readonly transactionCookie: string | undefined;
  readonly ends: boolean;
}

/** Reads a response's raw fields (bytes or text), name, value, name, value … */
export function readResponseHead(
  raw: readonly (Buffer | string)[],
  watch: ResponseWatch,
  options: { mayHaveTrailers: boolean },
): ResponseHead {
  const headers: string[] = [];
  let contentLength = -1;
  let connection: string | undefined;
  let trailerField: string | undefined;
  let volumeHeader: string | undefined;
  let amountHeader: string | undefined;
  let transactionHeader: string | undefined;
  let transactionCookie: string | undefined;
  let ends = false;

  for (let i = 0; i + 1 < raw.length; i += 2) {
    const spelling = text(raw[i]);
    const value = text(raw[i + 1]);
    const name = headerName(spelling);
    if (name === watch.volumeHeader) volumeHeader ??= value;
    if (name === watch.amountHeader) amountHeader ??= value;
    if (name === watch.transactionHeader) transactionHeader ??= value;
    if (name === watch.endHeader) ends = true;
    switch (name.role) {
      case 'connection':
        connection = connection === undefined ? value : `${connection}, ${value}`;
        continue;
      case 'hop':
      case 'transfer-encoding':
      case 'upgrade':
        continue;
      case 'trailer':
        trailerField = trailerField === undefined ? value : `${trailerField}, ${value}`;
        continue;
      case 'content-length':
        contentLength = Number(value);
        break;
      case 'set-cookie':
        if (watch.transactionCookie !== null) {
          transactionCookie = setCookieValue(value, watch.transactionCookie) ?? transactionCookie;
        }
        break;
      default:
        break;
    }
    headers.push(spelling, value);
  }

  if (connection !== undefined && connection !== 'keep-alive' && connection !== 'close') {
    dropNamed(headers, connection);
  }
  // Node refuses to announce trailers in a message that has no chunks to put them after.
  const announcesTrailers = trailerField !== undefined && options.mayHaveTrailers && contentLength < 0;
  if (trailerField !== undefined && announcesTrailers) headers.push('Trailer', trailerField);
  return {
    headers,
    contentLength,
    announcesTrailers,
    volumeHeader,
    amountHeader,
    transactionHeader,
    transactionCookie,
    ends,
  };
}

function text(part: Buffer | string | undefined): string {
  // Field values are octets: latin1 carries each of them through unchanged.
  return part === undefined ? '' : typeof part === 'string' ? part : part.toString('latin1');
}

function setCookieValue(setCookie: string, name: string): string | undefined {
  if (!setCookie.startsWith(`${name}=`)) return undefined;
  const end = setCookie.indexOf(';');
  const value = setCookie.slice(name.length + 1, end < 0 ? undefined : end).trim();
  if (/;\s*max-age=(?:0|-\d+)\s*(?:;|$)/i.test(setCookie)) return '';
  return value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
}

function dropNamed(headers: string[], connection: string): void {
  for (const token of fieldTokens(connection)) {
    if (token === 'content-length') continue;
    for (let i = headers.length - 2; i >= 0; i -= 2) {
      if (headers[i]?.toLowerCase() === token) headers.splice(i, 2);
    }
  }
}
