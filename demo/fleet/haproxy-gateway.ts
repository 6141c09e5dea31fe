import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { request } from 'undici';
import writeFileAtomic from 'write-file-atomic';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { ChangeoverError } from '../../src/domain/errors.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import { findHaproxy } from '../../src/haproxy/haproxy-command.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import { syncFiles } from '../../src/haproxy/sync.ts';
import { common, gatewayReadiness, type GatewayProcess, type Surroundings } from './fleet-parts.ts';
import { createFleetProcess } from './fleet-process.ts';
import { HaproxyProcess } from './haproxy-process.ts';
import { until } from './until.ts';

const LISTEN_TIMEOUT_MS = 10_000;
const COMPANION_GRACE_MS = 5_000;

/** Where HAProxy is. @throws ChangeoverError `NotFound`, which says how to get it */
export async function requireHaproxy(): Promise<string> {
  const command = await findHaproxy(process.env);
  if (command !== null) return command;
  throw new ChangeoverError(
    'NotFound',
    'HAProxy is not here: install it (`apt-get install haproxy`), or name it by HAPROXY=/path/to/haproxy.',
  );
}

/**
 * A real HAProxy with the companion beside it, as an operator sets them up: rendered for the plan, started, and told its
 * routes by the companion. The process of this gateway is the companion; `haproxy` is what carries the traffic.
 */
export async function createHaproxyGateway(
  around: Surroundings,
  parts: {
    name: string;
    service: string;
    controllerUrl: string;
    planOf: () => Plan;
  },
): Promise<GatewayProcess> {
  const { name, service, controllerUrl } = parts;
  const command = await requireHaproxy();
  const [port = 0, adminPort = 0] = await freePorts(2);
  const [url, adminUrl] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`];
  const folder = join(around.work.path, name);
  const [socket, configFile] = [join(folder, 'admin.sock'), join(folder, 'haproxy.cfg')];
  const options = { bind: `127.0.0.1:${port}`, socket, files: folder };
  const haproxy = new HaproxyProcess({
    command,
    configFile,
    env: around.env,
    logFile: join(around.work.path, 'logs', `${name}-haproxy.log`),
  });
  const { isReady, waitForTraffic } = gatewayReadiness(around, name, adminUrl);
  const companion = createFleetProcess({
    ...common(around, name),
    args: [
      ...['haproxy', 'serve', '--name', name, '--service', service],
      ...['--socket', `unix@${socket}`, '--files', folder, '--admin', `127.0.0.1:${adminPort}`],
      ...['--controller', controllerUrl, '--state', join(folder, 'state')],
    ],
    graceMs: COMPANION_GRACE_MS,
    isReady,
  });
  let rendered = '';

  async function render(plan: Plan): Promise<boolean> {
    const text = renderConfig(plan, options);
    if (text === rendered) return false;
    rendered = text;
    await writeFileAtomic(configFile, text);
    return true;
  }

  /** As `ExecStartPre=` of its service does: an HAProxy that was away does not serve by routes of an upgrade it missed. */
  async function synchronized(): Promise<void> {
    const logger = pino({ level: 'silent' });
    const outcome = await syncFiles(
      {
        ...{ name, service, controllerUrl, filesDir: folder, stateDir: join(folder, 'state') },
        ...{
          lookupDir: undefined,
          controllerToken: undefined,
          socket: undefined,
          patienceMs: LISTEN_TIMEOUT_MS,
          contextFor: [],
          configFile,
        },
      },
      logger,
    );
    if (outcome.kind !== 'held') return;
    throw new ChangeoverError(
      'ControllerUnreachable',
      `${name}: HAProxy stays away until the flow controller says which routes are current (upgrade ${outcome.upgrade}).`,
    );
  }

  async function startHaproxy(): Promise<void> {
    await synchronized();
    haproxy.start();
    await around.work.record(`${name}-haproxy`, haproxy.pid ?? 0);
    await until(`${name}: HAProxy listens`, () => answers(url), {
      timeoutMs: LISTEN_TIMEOUT_MS,
      signal: around.config.signal,
    });
  }

  async function start(): Promise<void> {
    if (!haproxy.running) {
      const plan = parts.planOf();
      await mkdir(folder, { recursive: true });
      if (rendered === '') await render(plan);
      for (const [path, content] of seedFiles(plan, options)) {
        // What is there are the routes that were in effect.
        await access(path).catch(() => writeFileAtomic(path, content));
      }
      await startHaproxy();
    }
    await companion.start();
  }

  async function stop(): Promise<void> {
    await companion.stop();
    await haproxy[Symbol.asyncDispose]();
  }

  return {
    name,
    kind: 'haproxy',
    url,
    adminUrl,
    logFile: companion.logFile,
    get pid() {
      return companion.pid;
    },
    get running() {
      return companion.running;
    },
    start,
    stop,
    restart: async () => {
      await stop();
      await start();
    },
    kill: (signal) => companion.kill(signal),
    waitUntilReady: () => companion.waitUntilReady(),
    waitForTraffic,
    haproxy: {
      get pid() {
        return haproxy.pid ?? 0;
      },
      reload: () => haproxy.reload(),
      kill: () => haproxy.kill(),
      start: startHaproxy,
    },
    configureFor: async (plan) => {
      if (await render(plan)) await haproxy.reload();
    },
  };
}

/** Any answer will do: before there are routes it is 503. */
async function answers(url: string): Promise<boolean> {
  const { body } = await request(url, { signal: AbortSignal.timeout(1_000) });
  await body.dump();
  return true;
}
