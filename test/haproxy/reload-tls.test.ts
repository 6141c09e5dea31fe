import { Agent, request } from 'undici';
import { describe, expect, it } from 'vitest';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { sum, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { certificateFor, HAS_OPENSSL } from '../support/certificate.ts';
import { requireComponent } from '../support/require-component.ts';

/** What owners write: everything is to come by TLS, from clients with certificates, and the servers are told that it did. */
const OWN_RULES = `
    http-request redirect scheme https unless { ssl_fc }
    http-request deny unless { ssl_c_used } || { so_name handover }
    http-request set-header x-forwarded-proto https if { ssl_fc }
    http-request set-header x-name %[ssl_fc_sni]
    http-request set-header x-handed-over %[so_name]
`;

describe('TLS and reloads of HAProxy', () => {
  it('a connection is one over TLS to the rules of the owner after a reload too, also while transactions wait', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    requireComponent('OpenSSL', HAS_OPENSSL, test);
    const server = await new UpstreamServer('one').listen();
    const certificate = await certificateFor('DNS:localhost');
    const plan = planFor([server], {
      traffic: { transactions: { id: { from: 'header', name: 'x-transaction' }, idle: '60s' } },
    });
    const [port = 0] = await freePorts(1);
    await using fixture = await HaproxyFixture.start(plan, {
      upstreams: [server, certificate],
      tlsCert: certificate.pem,
      // Beside it, one without TLS.
      edit: (config) =>
        config.replace(/bind (\S+) ssl .*\n/, (bind, plain: string) => {
          const verified = bind.replace(plain, `127.0.0.1:${port}`).trim();
          return `bind ${plain}\n    ${verified} ca-file ${certificate.ca} verify required${OWN_RULES}`;
        }),
    });
    const table = tableOf([server], {
      transactions: plan.traffic.transactions ?? null,
      measure: plan.measure,
    });
    await fixture.admin.publish(table, {});
    const status = async (url: string, id: string, dispatcher: Agent): Promise<number> => {
      const headers = { 'x-transaction': id };
      const response = await request(url, { method: 'POST', body: 'x', headers, dispatcher });
      await response.body.dump();
      return response.statusCode;
    };
    const url = `https://localhost:${port}`;
    const { cert, key } = certificate;
    const connection = () => new Agent({ connections: 1, connect: { ca: cert, cert, key } });
    const [kept, fresh, plain] = [connection(), connection(), connection()];
    // A young process waits for transactions that it does not know yet.
    expect(await status(url, 'first', kept), 'while transactions are waited for').toBe(200);
    expect(await status(fixture.url, 'plain', plain)).toBe(302);

    await fixture.reloaded();
    expect(await status(url, 'first', kept), 'on a kept connection').toBe(200);
    expect(await status(url, 'second', fresh), 'on a connection of the new process').toBe(200);
    expect(await status(fixture.url, 'plain', plain), 'without TLS').toBe(302);
    await Promise.all([kept, fresh, plain].map((agent) => agent.close()));

    const told = server.requests.map(({ headers }) => headers);
    expect(told.slice(0, 2).map((headers) => headers['x-handed-over'])).toEqual(['handover', 'handover']);
    for (const headers of told)
      expect(headers).toMatchObject({
        'x-forwarded-proto': 'https',
        'x-name': 'localhost',
        'x-forwarded-for': '127.0.0.1',
      });
    expect(sum((await fixture.admin.stats({})).counts, 'requests')).toBe(3);
  });
});
