import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/exit-code.ts';
import { seedFiles } from '../../src/haproxy/render.ts';
import { serverOf, SERVICE, tableOf } from '../gateway/support/gateway-fixture.ts';
import { planFor } from '../gateway/support/haproxy-fixture.ts';
import { StubController } from '../gateway/support/stub-controller.ts';
import { type CliRun, runCaptured } from './captured-context.ts';

const SERVERS = [{ name: 'one', url: 'http://127.0.0.1:9001' }];
const NOBODY = 'http://127.0.0.1:9';
const RIGHT = 'a-token-that-is-right';
const WRONG = 'a-token-that-is-wrong';

/** Files of an HAProxy as rendered, and a flow controller that has routes, or for which the service is not adopted (null). */
async function fresh(table: ReturnType<typeof tableOf> | null) {
  const folder = await mkdtemp(join(tmpdir(), 'sync-'));
  for (const [path, content] of seedFiles(planFor(SERVERS), { files: folder }))
    await writeFile(path, content);
  const controller = await new StubController(table).listen();
  return {
    controller,
    sync: (controllerUrl = controller.url, token?: string): Promise<CliRun> =>
      runCaptured(
        [
          ...['haproxy', 'sync', '--name', 'gw-1', '--service', SERVICE, '--files', folder],
          ...['--state', join(folder, 'state'), '--controller', controllerUrl, '--patience', '1ms'],
        ],
        token === undefined ? {} : { CHANGEOVER_CONTROLLER_TOKEN: token },
      ),
    [Symbol.asyncDispose]: async () => {
      await controller[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

describe('haproxy sync says why there are no routes', () => {
  test('the service is not adopted yet: HAProxy starts all the same, since it has to run before it can be', async () => {
    await using all = await fresh(null);
    expect(await all.sync()).toEqual({
      exitCode: EXIT.ok,
      out: `The flow controller at ${all.controller.url} does not know ${SERVICE}: it is not adopted yet; HAProxy starts without routes: it answers 503 until its companion has some.\n`,
      err: '',
    });
  });

  test('the token is refused: HAProxy does not start, whatever it had', async () => {
    await using all = await fresh(tableOf([], { version: 5 }));
    all.controller.token = RIGHT;
    const refused = {
      exitCode: EXIT.failed,
      err: expect.stringMatching(
        /^HAProxy must not start: the flow controller at \S+ refuses the token in CHANGEOVER_CONTROLLER_TOKEN, or there is none/,
      ) as string,
    };
    expect(await all.sync()).toMatchObject(refused);
    expect(await all.sync(all.controller.url, WRONG)).toMatchObject(refused);
    expect(await all.sync(all.controller.url, RIGHT)).toMatchObject({
      exitCode: EXIT.ok,
      out: 'HAProxy starts by the current routes, version 5.\n',
    });
    expect(await all.sync(all.controller.url, WRONG)).toMatchObject(refused);
  });

  test('the flow controller cannot be reached: HAProxy starts by the routes it had', async () => {
    await using all = await fresh(tableOf([], { version: 5 }));
    await all.sync();
    const { exitCode, out } = await all.sync(NOBODY);
    expect(exitCode).toBe(EXIT.ok);
    expect(out).toMatch(/^The flow controller cannot be reached at http:\/\/127\.0\.0\.1:9 \(.*ECONNREFUSED/);
    expect(out).toContain('; HAProxy starts by the routes it had, version 5.');
  });

  test('an upgrade was under way: HAProxy does not start, and the exit code says why', async () => {
    await using all = await fresh(tableOf([], { version: 5, upgrade: 'upgrade-1' }));
    await all.sync();
    const start = /^HAProxy must not start: upgrade upgrade-1 was under way .* The flow controller /;
    const unreachable = await all.sync(NOBODY);
    expect(unreachable.exitCode).toBe(EXIT.unreachable);
    expect(unreachable.err).toMatch(new RegExp(`${start.source}cannot be reached`));
    all.controller.table = null;
    const unknown = await all.sync();
    expect(unknown.exitCode).toBe(EXIT.notNow);
    expect(unknown.err).toMatch(new RegExp(`${start.source}at \\S+ does not know ${SERVICE}`));
  });

  test('the files do not fit the routes', async () => {
    const table = tableOf([serverOf({ name: 'two', url: 'http://127.0.0.1:9002' })], { version: 5 });
    await using all = await fresh(table);
    const { exitCode, err } = await all.sync();
    expect(exitCode).toBe(EXIT.badInput);
    expect(err).toContain("route table 5: HAProxy's configuration lacks the servers two");
  });
});
