import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { syncFiles, type SyncOutcome } from '../../src/haproxy/sync.ts';
import { serverOf, SERVICE, tableOf } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY, HaproxyFixture, planFor } from '../gateway/support/haproxy-fixture.ts';
import { StubController } from '../gateway/support/stub-controller.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

/** An HAProxy that executed version 5 of the routes, with both servers open, and was then killed with its companion. */
async function away(upgrade?: string) {
  const [one, two] = await Promise.all([
    new UpstreamServer('one').listen(),
    new UpstreamServer('two').listen(),
  ]);
  const fixture = await HaproxyFixture.start(planFor([one, two]), { upstreams: [one, two] });
  const table = tableOf([one, two], upgrade === undefined ? { version: 5 } : { version: 5, upgrade });
  await fixture.admin.publish(table, {});
  await fixture.companion.close();
  await fixture.haproxy.kill();
  const sync = (controllerUrl: string, socket?: string): Promise<SyncOutcome> =>
    syncFiles(
      {
        ...{ name: 'gw-1', service: SERVICE, filesDir: fixture.folder, stateDir: `${fixture.folder}/state` },
        ...{ lookupDir: undefined, controllerToken: undefined, controllerUrl, patienceMs: 0, socket },
        ...{ contextFor: [], configFile: `${fixture.folder}/haproxy.cfg` },
      },
      pino({ level: 'silent' }),
    );
  /** Who answers once HAProxy runs again, without its companion. */
  const answering = async (): Promise<Set<string>> => {
    fixture.haproxy.start();
    await fixture.waitForHaproxy();
    const names = new Set<string>();
    for (let i = 0; i < 6; i += 1) names.add(await (await request(fixture.url)).body.text());
    return names;
  };
  return {
    fixture,
    table,
    sync,
    answering,
    one,
    two,
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

const NOBODY = 'http://127.0.0.1:9';

describe('haproxy sync, before HAProxy starts', () => {
  it('brings routes that this gateway missed, and acknowledges them: no old route serves a request (invariants 2, 4)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away('upgrade-1');
    const { table, one, two } = all;
    const servers = [serverOf(one, { ingress: 'closed' }), serverOf(two)];
    await using controller = await new StubController({ ...table, version: 9, servers }).listen();
    expect(await all.sync(controller.url)).toEqual({ kind: 'current', version: 9, inner: [] });
    expect(controller.acknowledged).toEqual([9]);
    expect(await all.answering()).toEqual(new Set(['two']));
    await all.fixture.startCompanion();
    expect(await all.fixture.admin.executing({})).toMatchObject({ version: 9 });
  });

  it('keeps HAProxy away while nobody says what became of the upgrade, or it is fenced', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away('upgrade-1');
    const held = { kind: 'held', version: 5, upgrade: 'upgrade-1' };
    expect(await all.sync(NOBODY)).toMatchObject({ ...held, why: { code: 'ControllerUnreachable' } });
    await using controller = await new StubController({ ...all.table, version: 6, fenced: true }).listen();
    expect(await all.sync(controller.url)).toEqual({ ...held, version: 6, why: null });
    // The routes on the disk may be current; that they are fenced is remembered.
    expect(await all.sync(NOBODY)).toMatchObject({
      ...{ ...held, version: 6 },
      why: { code: 'ControllerUnreachable' },
    });
  });

  it('changes nothing beside an HAProxy that runs already (invariant 4)', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away();
    const socket = `unix@${all.fixture.socket}`;
    await using controller = await new StubController({ ...all.table, version: 9 }).listen();
    await all.answering();
    const before = await all.fixture.routesOnDisk();
    expect(await all.sync(controller.url, socket)).toMatchObject({ kind: 'running' });
    expect([await all.fixture.routesOnDisk(), controller.acknowledged]).toEqual([before, []]);
    await all.fixture.haproxy.kill();
    expect(await all.sync(controller.url, socket)).toEqual({ kind: 'current', version: 9, inner: [] });
  });

  it('lets it start by the routes it had where no upgrade was under way, and says so', async (test) => {
    requireComponent('HAProxy', HAPROXY !== null, test);
    await using all = await away();
    await all.fixture.spoilFiles();
    expect(await all.sync(NOBODY)).toMatchObject({ kind: 'asLeft', version: 5, inner: [] });
    // Files that fell behind what was executed are mended.
    expect(await all.answering()).toEqual(new Set(['one', 'two']));
  });
});
