import { request as httpRequest } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import WebSocket, { WebSocketServer } from 'ws';
import { GatewayFixture, serverOf, sum, tableOf, until } from './support/gateway-fixture.ts';
import { RawConnection } from './support/raw-connection.ts';
import { answer, UpstreamServer } from './support/upstream-server.ts';

async function oneServer(
  handler?: UpstreamServer['handler'],
): Promise<{ upstream: UpstreamServer; fixture: GatewayFixture }> {
  const upstream = await new UpstreamServer('up', handler).listen();
  return { upstream, fixture: await GatewayFixture.start(tableOf([upstream]), { upstreams: [upstream] }) };
}

describe('fields', () => {
  it('that belong to one connection are dropped, those of the way are added (RFC 9110, RFC 7239)', async () => {
    const { fixture, upstream } = await oneServer((_req, res) => {
      res.writeHead(200, { connection: 'x-mine', 'x-mine': '1', 'keep-alive': 'timeout=9', 'x-kept': 'yes' });
      res.end('ok');
    });
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send(
      'GET /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n' +
        'Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-MiXed: Yes\r\nVia: 1.1 edge\r\n' +
        'Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n',
    );
    await until(() => connection.received.includes('ok'));
    const seen = upstream.requests[0];
    expect(seen?.url).toBe('/a?b=c');
    expect(seen?.rawHeaders).toContain('X-MiXed');
    expect(seen?.headers).toMatchObject({
      host: 'shop.example:8080',
      via: '1.1 edge, 1.1 gw-1',
      forwarded: 'for=192.0.2.7, for=127.0.0.1;host="shop.example:8080";proto=http',
      'x-forwarded-for': '192.0.2.7, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example:8080',
    });
    for (const name of ['x-secret', 'keep-alive', 'te', 'proxy-authorization'])
      expect(seen?.headers[name]).toBeUndefined();
    expect(connection.received).toContain('x-kept: yes');
    expect(connection.received).not.toContain('x-mine');
    expect(connection.received).not.toContain('timeout=9');
  });

  it('Host follows an absolute-form target (RFC 9112 section 3.2.2)', async () => {
    const { fixture, upstream } = await oneServer();
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send('GET http://real.example?x=1 HTTP/1.1\r\nHost: other.example\r\n\r\n');
    await until(() => connection.received.endsWith('up'));
    expect(upstream.requests[0]).toMatchObject({ url: '/?x=1', headers: { host: 'real.example' } });
  });

  it('repeated ones stay apart, and status text and unusual bytes survive', async () => {
    const { fixture } = await oneServer((_req, res) => {
      res.writeHead(299, 'Fine Enough', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Bytes', '\xe4\xf6']);
      res.end();
    });
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await until(() => connection.closed);
    expect(connection.received).toMatch(/^HTTP\/1\.1 299 Fine Enough\r\n/);
    expect(connection.received).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Bytes: \xe4\xf6\r\n');
  });

  it('OPTIONS * reaches a server as it is', async () => {
    const { fixture, upstream } = await oneServer();
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => connection.received.includes('200 OK'));
    expect(upstream.requests[0]).toMatchObject({ method: 'OPTIONS', url: '*' });
  });
});

describe('bodies', () => {
  it('go both ways unchanged, with a length and in chunks', async () => {
    const { fixture, upstream } = await oneServer((req, res) => {
      res.writeHead(
        200,
        req.headers['content-length'] === undefined
          ? {}
          : { 'content-length': req.headers['content-length'] },
      );
      req.pipe(res);
    });
    await using _ = fixture;
    const bytes = Buffer.alloc(3_000_000, 'changeover');
    const sized = await request(fixture.url, { method: 'PUT', body: bytes });
    expect(sized.headers['content-length']).toBe('3000000');
    expect((await buffer(sized.body)).equals(bytes)).toBe(true);
    const chunks = function* (): Generator<Buffer> {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    };
    const chunked = await request(fixture.url, { method: 'POST', body: Readable.from(chunks()) });
    expect(chunked.headers['transfer-encoding']).toBe('chunked');
    expect((await buffer(chunked.body)).equals(bytes)).toBe(true);
    expect(upstream.requests[1]?.headers['transfer-encoding']).toBe('chunked');
  });

  it('wait for a slow reader instead of filling memory', async () => {
    let written = 0;
    const { fixture } = await oneServer((req, res) => {
      if (req.url === '/other') return answer(res, 200, 'other');
      const chunk = Buffer.alloc(64 * 1024);
      const source = new Readable({
        read() {
          written += chunk.length;
          this.push(written > 200_000_000 ? null : chunk);
        },
      });
      source.pipe(res);
    });
    await using _ = fixture;
    const client = httpRequest(fixture.url);
    client.end();
    const response = await new Promise<import('node:http').IncomingMessage>((resolve) =>
      client.on('response', resolve),
    );
    // Many exchanges go through the gateway for each piece that is read: the server has time to send all of it.
    let read = 0;
    let furthestAhead = 0;
    for await (const piece of response) {
      read += (piece as Buffer).length;
      if (read > 2_000_000) break;
      await (await request(`${fixture.url}/other`)).body.dump();
      furthestAhead = Math.max(furthestAhead, written - read);
    }
    expect(read).toBeGreaterThan(2_000_000);
    expect(furthestAhead).toBeLessThan(50_000_000);
    client.destroy();
  });

  it('HEAD, 204 and 304 have none', async () => {
    const { fixture } = await oneServer((req, res) => {
      if (req.url === '/204') res.writeHead(204).end();
      else if (req.url === '/304') res.writeHead(304, { etag: '"1"' }).end();
      else answer(res, 200, 'hello');
    });
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    for (const [target, status] of [
      ['HEAD /', '200'],
      ['GET /204', '204'],
      ['GET /304', '304'],
    ] as const) {
      connection.received = '';
      connection.send(`${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await until(() => connection.received.includes('\r\n\r\n'));
      expect(connection.received).toContain(`HTTP/1.1 ${status}`);
      expect(connection.received.endsWith('\r\n\r\n')).toBe(true);
      if (target === 'HEAD /') expect(connection.received).toContain('content-length: 5');
    }
  });

  it('an early answer reaches a client that is still sending', async () => {
    const { fixture } = await oneServer((_req, res) => {
      res.writeHead(413, { connection: 'close', 'content-length': 9 });
      res.end('too large');
    });
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n').send('x'.repeat(1000));
    await until(() => connection.received.endsWith('too large'));
    expect(connection.status).toBe(413);
  });

  it('trailers travel both ways', async () => {
    const { fixture } = await oneServer((req, res) => {
      void text(req).then((body) => {
        res.writeHead(200, { trailer: 'x-check' });
        res.write(`${body} ${req.trailers['x-sum'] ?? 'none'}`);
        res.addTrailers({ 'x-check': 'done' });
        res.end();
      });
    });
    await using _ = fixture;
    const client = httpRequest(fixture.url, {
      method: 'POST',
      headers: { trailer: 'x-sum', 'transfer-encoding': 'chunked' },
    });
    client.write('body');
    client.addTrailers({ 'x-sum': '42' });
    client.end();
    const response = await new Promise<import('node:http').IncomingMessage>((resolve) =>
      client.on('response', resolve),
    );
    expect(await text(response)).toBe('body 42');
    expect(response.trailers).toEqual({ 'x-check': 'done' });
    const plain = await request(fixture.url);
    expect(await plain.body.text()).toBe(' none');
    expect(plain.trailers).toEqual({ 'x-check': 'done' });
  });
});

describe('Expect: 100-continue', () => {
  const ask = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n';

  it('is answered by the server, through the gateway', async () => {
    const { fixture, upstream } = await oneServer(
      (req, res) => void text(req).then((body) => answer(res, 200, body)),
    );
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send(ask);
    await until(() => connection.received === 'HTTP/1.1 100 Continue\r\n\r\n');
    connection.send('abcd');
    await until(() => connection.received.endsWith('abcd'));
    expect(upstream.requests[0]?.headers['expect']).toBe('100-continue');
  });

  it('may be answered with a refusal, and then the connection ends', async () => {
    const { fixture, upstream } = await oneServer();
    upstream.server.on('checkContinue', (_req, res: import('node:http').ServerResponse) =>
      answer(res, 401, 'no'),
    );
    await using _ = fixture;
    using connection = new RawConnection(fixture.port);
    connection.send(ask);
    await until(() => connection.closed);
    expect(connection.status).toBe(401);
    expect(connection.received).toMatch(/connection: close/i);
  });
});

describe('a WebSocket', () => {
  it('goes both ways, is in flight until it is closed, and counts once', async () => {
    const { fixture, upstream } = await oneServer();
    await using _ = fixture;
    const sockets = new WebSocketServer({ server: upstream.server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const client = new WebSocket(fixture.url.replace('http', 'ws'));
    await new Promise((resolve) => client.once('open', resolve));
    expect((await fixture.load('up')).inFlight).toBe(1);
    for (const size of [1, 100_000]) {
      client.send(Buffer.alloc(size, 7));
      const [echo] = await new Promise<[Buffer]>((resolve) =>
        client.once('message', (...args) => resolve(args as never)),
      );
      expect(echo.length).toBe(size);
    }
    client.close();
    await until(async () => (await fixture.load('up')).inFlight === 0);
    const counts = await fixture.counts();
    expect([sum(counts, 'requests'), sum(counts, 'succeeded')]).toEqual([1, 1]);
    sockets.close();
  });

  it('that the server refuses is refused with the server’s answer', async () => {
    const { fixture } = await oneServer((_req, res) => answer(res, 426, 'not here'));
    await using _ = fixture;
    const client = new WebSocket(fixture.url.replace('http', 'ws'));
    const error = await new Promise<Error>((resolve) => client.once('error', resolve));
    expect(error.message).toContain('426');
    await until(async () => (await fixture.load('up')).inFlight === 0);
  });
});

describe('what goes wrong', () => {
  it('a client that goes away ends the request at the server, and counts as aborted', async () => {
    let ended = false;
    const { fixture, upstream } = await oneServer((req) => req.once('close', () => (ended = true)));
    await using _ = fixture;
    const client = connect(fixture.port, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => upstream.requests.length === 1);
    client.destroy();
    await until(() => ended);
    expect((await fixture.load('up')).inFlight).toBe(0);
    const counts = await fixture.counts();
    expect([sum(counts, 'requests'), sum(counts, 'aborted')]).toEqual([1, 1]);
  });

  it('a client that goes away in the middle of its body does too', async () => {
    let failed = false;
    const { fixture, upstream } = await oneServer((req) => {
      req.resume();
      req.once('close', () => (failed = !req.complete));
    });
    await using _ = fixture;
    const client = connect(fixture.port, '127.0.0.1');
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc');
    await until(() => upstream.requests.length === 1);
    client.destroy();
    await until(() => failed);
    await until(async () => sum(await fixture.counts(), 'aborted') === 1);
  });

  it('a server that does not answer in time is 504', async () => {
    const upstream = await new UpstreamServer('up', () => undefined).listen();
    await using fixture = await GatewayFixture.start(tableOf([upstream]), {
      upstreams: [upstream],
      config: { timeouts: { upstreamHeadersMs: 100 } },
    });
    const response = await request(fixture.url);
    await response.body.dump();
    expect(response.statusCode).toBe(504);
    expect(sum(await fixture.counts(), 'failed')).toBe(1);
  });

  it('a server that hangs up on a new connection is 502, and a POST is not repeated', async () => {
    let posts = 0;
    await using broken = await new UpstreamServer('broken', (req) => {
      posts += 1;
      req.socket.destroy();
    }).listen();
    const other = await new UpstreamServer('other').listen();
    await using fixture = await GatewayFixture.start(tableOf([broken, other]), { upstreams: [other] });
    const statuses: number[] = [];
    for (let i = 0; i < 2; i += 1) {
      const response = await request(fixture.url, { method: 'POST', body: 'x' });
      await response.body.dump();
      statuses.push(response.statusCode);
    }
    expect(statuses.sort()).toEqual([200, 502]);
    expect(posts).toBe(1);
  });

  it('a body that breaks off breaks off at the client', async () => {
    const { fixture } = await oneServer((req, res) => {
      res.writeHead(200, { 'content-length': 100 });
      res.write('part');
      setImmediate(() => req.socket.destroy());
    });
    await using _ = fixture;
    const response = await request(fixture.url);
    await expect(response.body.text()).rejects.toThrow();
    expect(sum(await fixture.counts(), 'failed')).toBe(1);
  });

  it('an idle connection that the server closed costs no GET', async () => {
    const { fixture, upstream } = await oneServer();
    await using _ = fixture;
    for (let round = 0; round < 20; round += 1) {
      const response = await request(fixture.url);
      expect(response.statusCode).toBe(200);
      // The server hangs up right as the next request is sent.
      for (const socket of upstream.sockets) socket.destroy();
      await response.body.dump();
    }
    expect(sum(await fixture.counts(), 'requests')).toBe(20);
    expect(sum(await fixture.counts(), 'succeeded')).toBe(20);
  });

  it('a server that does not speak HTTP is 502', async () => {
    const nonsense = createServer((socket) => socket.end('SSH-2.0-nonsense\r\n'));
    await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
    const { port } = nonsense.address() as AddressInfo;
    const server = serverOf({ name: 'up', url: `http://127.0.0.1:${port}` });
    await using fixture = await GatewayFixture.start(tableOf([server]));
    const response = await request(fixture.url);
    await response.body.dump();
    expect(response.statusCode).toBe(502);
    nonsense.close();
  });
});
