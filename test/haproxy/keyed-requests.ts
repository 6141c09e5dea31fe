import { once } from 'node:events';
import { connect } from 'node:net';
import type { KeySource } from '../../src/domain/policy/policy.ts';

/** The octets of a text as UTF-8, one character each; what is an octet already stays. */
function octets(text: string): string {
  return /[^\x00-\xff]/.test(text) || text.includes('ü') || text.includes('é')
    ? Buffer.from(text, 'utf8').toString('latin1')
    : text;
}

interface Carried {
  readonly path?: string;
  readonly headers: string;
}

export function requestOf({ path = '/a/', headers }: Carried): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
}

/** What carries the key, raw: what cannot be sent at all in that place is left out. */
export function carried(source: KeySource, key: string | undefined, index: number): Carried {
  const raw = key === undefined ? undefined : octets(key);
  const isText = raw === undefined || !/[\0\r\n]/.test(raw);
  const inUrl = raw?.replace(/[^\x21-\x7e]/g, (char) => encodeOctet(char)).replaceAll('#', '%23');
  let headers = '';
  let path: string | undefined;
  if (raw !== undefined && isText) {
    if (source.from === 'header')
      headers = `${source.name}: ${raw}\r\n${index % 7 === 0 ? `${source.name}: 3\r\n` : ''}`;
    if (source.from === 'cookie') headers = `cookie: ${cookieWith(source.name, raw, index)}\r\n`;
    if (source.from === 'query')
      path = `/a?b=1&${source.name}=${inUrl ?? ''}${index % 7 === 0 ? `&${source.name}=3` : ''}`;
    if (source.from === 'path') path = `/a/${inUrl ?? ''}/c`;
  }
  return { headers, ...(path === undefined ? {} : { path }) };
}

/** As clients write cookies, and as they should not. */
function cookieWith(name: string, value: string, index: number): string {
  switch (index % 11) {
    case 0:
      return `a=b; ${name}="${value}"; c=1`;
    case 1:
      return `a="b;${name}=1";${name} =\t${value} ; c=1`;
    case 2:
      return `${name}=3; a=b; ${name}=${value}`;
    case 3:
      return `a=b, ${name} = ${value} ,c=1`;
    case 4:
      return `${name}x=1; x${name}=2; $${name}=4; ${name}=${value}; ${name}y`;
    case 5:
      return `a=b; ${name}=${value}; ${name}${['', '=', '; c=1', ', c', '==1'][index % 5] ?? ''}`;
    case 6:
      return `a="b\\"; ${name}=5; c"; ${name}="${value}" x`;
    default:
      return `a=b; ${name}=${value}; c=1`;
  }
}

export function encodeOctet(char: string): string {
  return `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** What a gateway decides for each of the requests, sent as one stream of octets. */
export async function decisions(port: number, requests: readonly string[]): Promise<string[]> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.setEncoding('latin1');
  const found: string[] = [];
  let text = '';
  let sent = 0;
  const more = (): void => {
    const batch = requests.slice(sent, sent + 100);
    sent += batch.length;
    if (batch.length > 0) socket.write(Buffer.from(batch.join(''), 'latin1'));
  };
  const all = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () =>
      reject(new Error(`closed after ${found.length}: ${JSON.stringify(requests[found.length])}`)),
    );
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (;;) {
        const head = text.indexOf('\r\n\r\n');
        if (head < 0) break;
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1]);
        if (text.length < head + 4 + length) break;
        found.push(text.slice(head + 4, head + 4 + length));
        text = text.slice(head + 4 + length);
      }
      if (found.length === requests.length) resolve();
      else if (found.length === sent) more();
    });
  });
  more();
  await all;
  socket.removeAllListeners('close');
  socket.destroy();
  return found;
}
