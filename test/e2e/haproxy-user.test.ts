import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { request } from 'undici';
import { expect, test } from 'vitest';
import { HaproxyProcess } from '../../demo/fleet/haproxy-process.ts';
import { bindToThisProcess } from '../../src/dev-server/bound-process.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { readProcess } from '../../src/haproxy/runtime-answers.ts';
import { RuntimeConnection } from '../../src/haproxy/runtime-api.ts';
import { serverOf, SERVICE, tableOf, until } from '../gateway/support/gateway-fixture.ts';
import { HAPROXY } from '../gateway/support/haproxy-fixture.ts';
import { StubController } from '../gateway/support/stub-controller.ts';
import { haproxyUser } from '../gateway/support/haproxy-user.ts';
import { UpstreamServer } from '../gateway/support/upstream-server.ts';
import { requireComponent } from '../support/require-component.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const TOKEN = 'a-token-of-the-flow-controller';

/** The commands of the README's steps for an HAProxy. */
async function readmeSteps(): Promise<{ prepare: string; sync: string; serve: string }> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const steps = readme.slice(readme.indexOf('### An HAProxy as gateway'));
  const found = (pattern: RegExp): string => pattern.exec(steps)?.[1] ?? '';
  return {
    prepare: found(/```sh\n(.*?)```/s),
    sync: found(/^ +ExecStartPre=(.*)$/m),
    serve: found(/^ +ExecStart=(.*)$/m),
  };
}

const PACKAGES = [{ path: '/packages', fileName: 'shop.tgz', sha256: '0'.repeat(64) }];

function planOf(url: string): string {
  const server = (name: string, at: string, agent: number) => ({
    ...{ name, url: at },
    agent: `http://127.0.0.1:${agent}`,
  });
  return JSON.stringify({
    service: SERVICE,
    baseline: { version: '1.0', cluster: 'main', packages: PACKAGES },
    candidates: [{ version: '2.0', mode: 'new', packages: PACKAGES }],
    deployment: { new: 'other' },
    clusters: {
      main: { servers: [server('one', url, 7101)] },
      other: { servers: [server('two', 'http://127.0.0.1:9', 7102)] },
    },
    gateways: [{ name: 'gw-2', kind: 'haproxy', admin: 'http://127.0.0.1:7080' }],
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: { kind: 'hash', salt: 's', weights: { '2.0': 1 } },
      transactions: { id: { from: 'cookie', name: 'session' }, idle: '5m' },
    },
    measure: { volume: { kind: 'successes', match: { status: '2xx' } } },
    minServing: 1,
  });
}

test('the README’s steps, one after the other: HAProxy and its companion serve as the same user, over a reload', async (context) => {
  const user = await haproxyUser();
  requireComponent('HAProxy', HAPROXY !== null, context);
  if (user === null) return context.skip('needs root, and the user that packages of HAProxy create');
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-user-'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  await using server = await new UpstreamServer('one').listen();
  await using controller = await new StubController(tableOf([serverOf(server)], { version: 5 })).listen();
  controller.token = TOKEN;
  const [socket, config, tokenFile] = ['run/admin.sock', 'haproxy.cfg', 'token'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  /** A command as it stands there, for places of our own. */
  const here = (command: string): string =>
    command
      .replaceAll(
        /(?:\/usr\/bin\/)?\bchangeover haproxy (\w+)/g,
        `${process.execPath} ${root}dist/src/cli.js haproxy $1 --files ${folder}/lib/haproxy`,
      )
      .replaceAll(
        /haproxy render --files/g,
        `haproxy render --bind 127.0.0.1:${port} --socket ${socket} --files`,
      )
      .replaceAll(/haproxy serve --files/g, `haproxy serve --socket unix@${socket} --files`)
      .replaceAll('/var/lib/changeover', `${folder}/lib`)
      .replaceAll('/etc/haproxy/haproxy.cfg', config)
      .replaceAll('plan.yaml', join(folder, 'plan.yaml'))
      .replaceAll('--service wealth', `--service ${SERVICE}`)
      .replaceAll('http://10.0.1.9:7400', controller.url)
      .replaceAll('10.0.0.2:7080', `127.0.0.1:${adminPort}`);
  const env = {
    ...process.env,
    CHANGEOVER_CONTROLLER_TOKEN_FILE: tokenFile,
    CHANGEOVER_GATEWAY_TOKEN_FILE: tokenFile,
  };
  const haproxy = new HaproxyProcess({ command: HAPROXY ?? '', configFile: config });
  let companion: ReturnType<typeof spawn> | undefined;
  try {
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'run'));
    await chown(join(folder, 'run'), user.uid, user.gid);
    await writeFile(join(folder, 'plan.yaml'), planOf(server.url));
    await writeFile(tokenFile, TOKEN, { mode: 0o640 });
    await chown(tokenFile, 0, user.gid);

    const steps = await readmeSteps();
    await run('bash', ['-ec', here(steps.prepare)], { env });
    const synced = await run('bash', ['-ec', here(steps.sync)], { env });
    expect(synced.stdout).toBe('HAProxy starts by the current routes, version 5.\n');
    haproxy.start();
    const worker = async (): Promise<number> => {
      const connection = await RuntimeConnection.open({ path: socket });
      try {
        const [info = ''] = await connection.send(['show info']);
        return readProcess(info).pid;
      } finally {
        connection.close();
      }
    };
    await until(
      () =>
        worker().then(
          (pid) => pid > 0,
          () => false,
        ),
      'HAProxy answers',
    );
    const first = await worker();
    expect((await stat(`/proc/${first}`)).uid).toBe(user.uid);
    expect(await readlink(`/proc/${first}/root`)).toBe('/var/lib/haproxy');
    const answer = async (): Promise<string> => (await request(`http://127.0.0.1:${port}`)).body.text();
    expect(await answer()).toBe('one');

    const serving = { ...user, env, stdio: 'inherit', detached: true } as const;
    companion = spawn('bash', ['-c', `exec ${here(steps.serve)}`], serving);
    bindToThisProcess(companion);
    const isReady = async (): Promise<boolean> =>
      request(`http://127.0.0.1:${adminPort}/health`).then(
        async ({ statusCode, body }) => {
          await body.dump();
          return statusCode === 200;
        },
        () => false,
      );
    await until(isReady, 'the companion is ready');
    await haproxy.reload();
    await until(async () => (await worker()) !== first, 'another process serves');
    expect(await answer()).toBe('one');
    controller.activate(tableOf([serverOf(server)], { version: 6 }));
    await until(async () => controller.acknowledged.includes(6), 'new routes are in effect');
    for (const name of await readdir(join(folder, 'lib/haproxy')))
      expect((await stat(join(folder, 'lib/haproxy', name))).uid, name).toBe(user.uid);
  } finally {
    if (companion !== undefined && companion.exitCode === null && companion.pid !== undefined) {
      const ended = once(companion, 'exit');
      process.kill(-companion.pid, 'SIGTERM');
      await ended;
    }
    await haproxy[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
});
