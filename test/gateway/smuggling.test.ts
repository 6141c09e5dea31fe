import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayFixture, tableOf, until } from './support/gateway-fixture.ts';
import { RawConnection } from './support/raw-connection.ts';
import { UpstreamServer } from './support/upstream-server.ts';

/** Requests that two parties could read differently (RFC 9112 section 11.2). None may reach a server. */
const REFUSED: Readonly<Record<string, string>> = {
  'Content-Length beside Transfer-Encoding':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'Transfer-Encoding beside Content-Length':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
  'two Content-Length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
  'the same Content-Length twice':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd',
  'a list as Content-Length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd',
  'a signed Content-Length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd',
  'a negative Content-Length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nabcd',
  'a hexadecimal Content-Length': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd',
  'an endless Content-Length':
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabcd',
  'a coding other than chunked':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'chunked that is not last':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
  'chunked twice':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  identity: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n',
  'a disguised coding': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  'a vertical tab before the coding':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n',
  'Transfer-Encoding in HTTP/1.0':
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a space before the colon': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\nabcd',
  'a folded field': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n',
  'a folded first field': 'GET / HTTP/1.1\r\n X-A: b\r\nHost: a\r\n\r\n',
  'no Host': 'GET / HTTP/1.1\r\nX-A: b\r\n\r\n',
  'two Hosts': 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'an empty Host': 'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'a Host with user information': 'GET / HTTP/1.1\r\nHost: b@a\r\n\r\n',
  'a Host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'a Host with a space': 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
  'a bare CR in a field': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-C: d\r\n\r\n',
  'a bare LF after a field': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\nX-C: d\r\n\r\n',
  'a bare LF after the request line': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
  'a NUL in a field': 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n',
  'a chunk size that is no number':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n',
  'a chunk that is longer than its size':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n',
  'a bare LF after a chunk size':
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n',
  'Connection naming Content-Length':
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 4\r\n\r\nabcd',
  'Connection naming Host': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n',
  'a target that is neither path nor address': 'GET foo HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target with user information': 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n',
  'a space in the target': 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n',
  CONNECT: 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
  TRACE: 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n',
  'HTTP/2 prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'an upgrade to HTTP/2':
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
  'an upgrade with a body':
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nabcd',
  'a header section that is too large': `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(20_000)}\r\n\r\n`,
};

describe('a request that can be read in two ways', () => {
  let upstream: UpstreamServer;
  let fixture: GatewayFixture;

  beforeAll(async () => {
    upstream = await new UpstreamServer('up').listen();
    upstream.handler = (req, res) => {
      req.resume();
      req.on('end', () => res.end('reached'));
    };
    fixture = await GatewayFixture.start(tableOf([upstream]), { upstreams: [upstream] });
  });
  afterAll(() => fixture[Symbol.asyncDispose]());

  it.each(Object.entries(REFUSED))('is refused, and so is what follows it: %s', async (_name, bytes) => {
    using connection = new RawConnection(fixture.port);
    const before = upstream.requests.length;
    connection.send(`${bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until(() => connection.closed, 'the connection to close');
    expect(connection.received).toMatch(/^HTTP\/1\.1 (400|405|408|431|501) /);
    expect(connection.received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(connection.received).not.toContain('reached');
    expect(upstream.requests.slice(before).map((request) => request.url)).not.toContain('/smuggled');
  });

  it('while the same things said properly arrive', async () => {
    using connection = new RawConnection(fixture.port);
    connection.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n');
    await until(() => connection.received.endsWith('reached'));
    connection.send('POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 2\r\n\r\nab');
    await until(() => (connection.received.match(/reached/g) ?? []).length === 2);
    expect(upstream.requests.slice(-2).map((r) => r.headers['host'])).toEqual(['a', '[::1]:80']);
  });
});
