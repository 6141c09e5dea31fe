import { connect } from 'node:net';
import { once } from 'node:events';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { sum, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { answer, UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

describe('clients of HAProxy that break off', () => {
  it('count once, whether that is before the answer or inside its body', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const one = await new UpstreamServer('one').listen();
    let gone = 0;
    one.handler = (req, res) => {
      res.on('close', () => (gone += res.writableFinished ? 0 : 1));
      if (req.url === '/upload') return;
      if (req.url !== '/long') return answer(res, 200, 'one');
      res.writeHead(200, { 'content-length': '1000000' });
      // HAProxy notices that a client is gone when it has something for it.
      const writing = setInterval(() => res.write('x'.repeat(100)), 10);
      res.on('close', () => clearInterval(writing));
    };
    const plan = planFor([one]);
    await using fixture = await HaproxyFixture.start(plan, { upstreams: [one] });
    await fixture.admin.publish(tableOf([one], { measure: plan.measure }), {});
    const breakOff = async (path: string, { answered }: { answered: boolean }): Promise<void> => {
      const [before, seen] = [gone, one.requests.length];
      const socket = connect(Number(new URL(fixture.url).port), '127.0.0.1');
      await once(socket, 'connect');
      const method = answered ? 'GET' : 'POST';
      socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\n${answered ? '' : 'content-length: 9\r\n'}\r\n`);
      if (answered) await once(socket, 'data');
      else await until(() => one.requests.length > seen, 'the request has reached the server');
      socket.resetAndDestroy();
      await until(() => gone > before, 'HAProxy noticed');
    };
    for (let i = 0; i < 3; i += 1) await breakOff('/long', { answered: true });
    for (let i = 0; i < 2; i += 1) await breakOff('/upload', { answered: false });
    for (let i = 0; i < 4; i += 1) await (await request(fixture.url)).body.dump();
    await until(async () => sum((await fixture.admin.stats({})).counts, 'aborted') >= 2, 'they are counted');
    const { counts } = await fixture.admin.stats({});
    expect(sum(counts, 'requests')).toBe(9);
    expect(sum(counts, 'aborted')).toBe(2);
    expect(sum(counts, 'failed')).toBe(0);
    expect(sum(counts, 'succeeded')).toBe(7);
  });
});
