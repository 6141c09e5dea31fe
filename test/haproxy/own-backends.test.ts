import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const WAY = '    use_backend %[var(txn.hop)]';

describe('Backends of the owner that are named like slots of the service', () => {
  it('are left alone: they serve on, and no version is given to them', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const [one, own] = await Promise.all([
      new UpstreamServer('one').listen(),
      new UpstreamServer('own').listen(),
    ]);
    const plan = planFor([one]);
    const address = new URL(own.url).host;
    // One has a server that is named as one of the service, and another number.
    const backends = ['static', '5'].map((name) => `backend shop_${name}\n    server one ${address} id 77\n`);
    const ways = ['static', '5'].map((name) => `    use_backend shop_${name} if { path /${name} }\n`);
    await using fixture = await HaproxyFixture.start(plan, {
      upstreams: [one, own],
      edit: (config) => `${config.replace(WAY, `${ways.join('')}${WAY}`)}\n${backends.join('')}`,
    });
    const answers = async (): Promise<string[]> =>
      Promise.all(
        ['', 'static', '5'].map(async (path) => {
          const { body } = await request(`${fixture.url}/${path}`, { reset: true });
          return body.text();
        }),
      );
    const table = tableOf([one], { measure: plan.measure });
    await fixture.admin.publish(table, {});
    expect(await answers()).toEqual(['one', 'own', 'own']);
    await fixture.reloaded();
    expect(await answers()).toEqual(['one', 'own', 'own']);

    const states = await readFile(join(fixture.folder, 'servers.state'), 'utf8');
    const backendsOfFile = new Set([...states.matchAll(/^\d+ (\S+) /gm)].map(([, name]) => name));
    expect([...backendsOfFile]).toEqual(['shop_1', 'shop_2', 'shop_3', 'shop_4']);
    expect(await fixture.routesOnDisk(), 'a server has one number').not.toContain('8000000000000000077');
    const counted = async (): Promise<number> =>
      (await fixture.admin.stats({})).counts.reduce((sum, { requests }) => sum + requests, 0);
    await until(async () => (await counted()) > 0, 'what the service answered is counted');
  });
});
