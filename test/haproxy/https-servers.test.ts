import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { certificateFor, HAS_OPENSSL } from '../support/certificate.ts';
import { requireComponent } from '../support/require-component.ts';

/** An HAProxy with a server that speaks TLS, called by `host`, with a certificate for `names`. */
async function withServer(host: string, ...names: string[]) {
  const certificate = await certificateFor(...names);
  const server = await new UpstreamServer('one', undefined, { host, certificate }).listen();
  const plan = planFor([server]);
  const fixture = await HaproxyFixture.start(plan, {
    upstreams: [server, certificate],
    edit: (config) => config.replaceAll('@system-ca', certificate.ca),
  });
  await fixture.admin.publish(tableOf([server], { measure: plan.measure }), {});
  return fixture;
}

async function answerOf({ url }: HaproxyFixture): Promise<[status: number, text: string]> {
  const { statusCode, body } = await request(url, { reset: true });
  return [statusCode, await body.text()];
}

describe('HAProxy speaks TLS to https servers', () => {
  it.for([
    ['by name', 'localhost', 'DNS:localhost'],
    ['by address', '127.0.0.1', 'IP:127.0.0.1'],
  ] as const)('that are given %s, before and after a reload', async ([_, host, name], test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    requireComponent('OpenSSL', HAS_OPENSSL, test);
    await using fixture = await withServer(host, name);
    expect(await answerOf(fixture)).toEqual([200, 'one']);
    await fixture.reloaded();
    expect(await answerOf(fixture)).toEqual([200, 'one']);
  });

  it('a server with the certificate of another name is down, and gets no request', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    requireComponent('OpenSSL', HAS_OPENSSL, test);
    await using fixture = await withServer('localhost', 'DNS:elsewhere.example');
    const isDown = async (): Promise<boolean> =>
      /^shop_1,one,.*,DOWN,/m.test(await fixture.command('show stat shop_1 4 -1'));
    await until(isDown, 'the server is seen as down');
    expect((await answerOf(fixture))[0]).toBe(503);
  });
});
