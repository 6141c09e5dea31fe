import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import type { GatewayUnits } from '../../src/protocol/gateway.ts';
import type { RouteTable } from '../../src/domain/routes/table.ts';
import { ACCOUNT_ROWS } from '../../src/haproxy/layout.ts';
import { until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { requireComponent } from '../support/require-component.ts';
import { serversOfReleases, splitOfPlan, tableOfPlan } from './three-releases.ts';

const ROOM = 4;

describe('Accounts for which HAProxy has no room', () => {
  it('are counted as such and not entered, whatever they do then; known ones go on', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    const servers = await serversOfReleases(() => ({}), 201);
    const plan = planFor(servers, {
      measure: { allocated: {}, volume: { kind: 'successes', match: { status: '201' } } },
      decision: { unit: 'account' },
    });
    await using fixture = await HaproxyFixture.start(plan, {
      upstreams: servers,
      edit: (config) => config.replace(`size ${ACCOUNT_ROWS} `, `size ${ROOM} `),
    });
    const counting = { unit: 'account', control: true, timeoutMs: 60_000, windowMs: 2_500 } as const;
    const table = (isCounted: boolean, version: number): RouteTable =>
      tableOfPlan(plan, servers, { version, split: splitOfPlan(plan, isCounted ? { counting } : {}) });
    await fixture.admin.publish(table(true, 1), {});
    for (const account of [1, 3, 5, 7, 9, 11, 1, 9]) {
      const response = await request(fixture.url, { headers: { 'x-account': String(account) } });
      await response.body.dump();
    }
    let units: GatewayUnits | undefined;
    await until(async () => {
      ({ units } = await fixture.admin.stats({}));
      return units?.pending === 0 && units.counts.length > 0;
    }, 'the window is over');
    expect(units).toMatchObject({ counts: [{ release: '2.0-a', n: ROOM, sum: ROOM }], beyond: 3 });
    // A trial that is over leaves nothing in HAProxy.
    await (await request(fixture.url, { headers: { 'x-account': '13' } })).body.dump();
    await fixture.admin.publish(table(false, 2), {});
    await until(async () => !(await fixture.tableOf('changeover_accounts')).includes('key='));
  });
});
