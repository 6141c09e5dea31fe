import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { request } from 'undici';
import { HaproxyProcess } from '../../../demo/fleet/haproxy-process.ts';
import { createGatewayOverHttp } from '../../../src/adapters/gateway-over-http.ts';
import { freePorts } from '../../../src/dev-server/free-port.ts';
import { readPlan } from '../../../src/domain/plan/read-plan.ts';
import type { Plan, PlanInput } from '../../../src/domain/plan/schema.ts';
import { createCompanion, type Companion } from '../../../src/haproxy/companion.ts';
import { findHaproxy } from '../../../src/haproxy/haproxy-command.ts';
import { renderConfig, seedFiles } from '../../../src/haproxy/render.ts';
import { RuntimeConnection } from '../../../src/haproxy/runtime-api.ts';
import type { InnerPlan } from '../../../src/haproxy/inner-rules.ts';
import { filesIn, SPECIAL } from '../../../src/haproxy/layout.ts';
import {
  hasPeersData,
  readMapValue,
  readProcess,
  readServers,
} from '../../../src/haproxy/runtime-answers.ts';
import type { ServerState } from '../../../src/haproxy/server-states.ts';
import type { TrafficGateway } from '../../../src/ports/traffic-gateway.ts';
import { SERVICE, until } from './gateway-fixture.ts';

/** Where HAProxy is on this machine; tests without it skip themselves. */
export const HAPROXY = await findHaproxy(process.env);

export interface NamedServer {
  readonly name: string;
  readonly url: string;
}

const PACKAGE = { path: '/packages', fileName: 'shop.tgz', sha256: '0'.repeat(64) };

/** A plan with these servers, as far as HAProxy's configuration depends on it. */
export function planFor(
  servers: readonly NamedServer[],
  changes: {
    traffic?: Partial<PlanInput['traffic']>;
    measure?: PlanInput['measure'];
    decision?: PlanInput['decision'];
  } = {},
): Plan {
  const members = servers.map(({ name, url }, index) => ({
    name,
    url,
    agent: `http://127.0.0.1:${7100 + index}`,
  }));
  const [first, ...others] = members;
  if (first === undefined) throw new Error('a plan needs a server');
  const read = readPlan({
    service: SERVICE,
    baseline: { version: '1.0', cluster: 'main', packages: [PACKAGE] },
    candidates: [
      { version: '2.0-a', mode: 'mode-a', packages: [PACKAGE] },
      { version: '2.0-b', mode: 'mode-b', packages: [PACKAGE] },
    ],
    deployment: { 'mode-a': 'cluster-a', 'mode-b': 'cluster-b' },
    clusters: {
      main: { servers: [first, ...others.slice(2)] },
      'cluster-a': {
        servers: [
          others[0] ?? {
            ...first,
            name: 'spare-a',
            url: 'http://127.0.0.1:9',
            agent: 'http://127.0.0.1:7098',
          },
        ],
      },
      'cluster-b': {
        servers: [
          others[1] ?? {
            ...first,
            name: 'spare-b',
            url: 'http://127.0.0.1:10',
            agent: 'http://127.0.0.1:7099',
          },
        ],
      },
    },
    gateways: [{ name: 'gw-1', kind: 'haproxy', admin: 'http://127.0.0.1:7080' }],
    traffic: {
      key: { from: 'header', name: 'x-account' },
      policy: {
        kind: 'tail',
        rules: [
          { tail: 'odd', to: '2.0-a' },
          { tail: 'even', to: '2.0-b' },
        ],
      },
      ...changes.traffic,
    },
    measure: changes.measure ?? {
      allocated: {},
      volume: { kind: 'successes', match: { status: '2xx' } },
      slow: '1s',
    },
    // The rules are for units of this kind; requests where the plan asks for none.
    decision: changes.decision ?? { rule: 'max-efficacy' },
    minServing: 1,
  });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return read.plan;
}

/** A real HAProxy with its companion, in a folder of their own, on free ports. */
export class HaproxyFixture implements AsyncDisposable {
  readonly folder: string;
  readonly url: string;
  readonly haproxy: HaproxyProcess;
  readonly socket: string;
  companion: Companion;
  admin: TrafficGateway;
  output = '';
  /** So far ahead the companion's clock is, by which windows of accounts are over. */
  aheadMs = 0;
  #plan: Plan | null = null;
  #inner: readonly InnerPlan[] = [];
  #controllerUrl: string | undefined;
  #tlsCert: string | undefined;
  #runtimePort: number | undefined;
  #shutIn: { user: string; chroot: string } | undefined;
  #edit = (config: string): string => config;
  readonly #upstreams: readonly AsyncDisposable[];

  private constructor(parts: { folder: string; url: string; upstreams: readonly AsyncDisposable[] }) {
    this.folder = parts.folder;
    this.url = parts.url;
    this.socket = join(parts.folder, 'admin.sock');
    this.#upstreams = parts.upstreams;
    this.haproxy = new HaproxyProcess({
      command: HAPROXY ?? 'haproxy',
      configFile: join(parts.folder, 'haproxy.cfg'),
      onOutput: (text) => (this.output += text),
    });
    this.companion = this.#companion();
    this.admin = createGatewayOverHttp({ name: 'gw-1', admin: 'http://127.0.0.1:1' });
  }

  static async start(
    plan: Plan,
    options: {
      upstreams?: readonly AsyncDisposable[];
      context?: boolean;
      /** Certificate by which TLS ends at HAProxy. */
      tlsCert?: string;
      /** The companion talks to HAProxy by TCP. */
      runtimeByTcp?: boolean;
      /** As whom HAProxy serves, and in which folder. */
      shutIn?: { user: string; chroot: string };
      /** Plans of services behind this one, and where their routes are to be had. */
      inner?: readonly InnerPlan[];
      controllerUrl?: string;
      /** Makes other than is rendered: what would take too long to show otherwise. */
      edit?: (config: string) => string;
    } = {},
  ): Promise<HaproxyFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'haproxy-'));
    const [port = 0, runtimePort = 0] = await freePorts(2);
    const fixture = new HaproxyFixture({
      folder,
      url: `http://127.0.0.1:${port}`,
      upstreams: options.upstreams ?? [],
    });
    fixture.#inner = options.inner ?? [];
    fixture.#controllerUrl = options.controllerUrl;
    fixture.#tlsCert = options.tlsCert;
    fixture.#shutIn = options.shutIn;
    if (options.runtimeByTcp === true) fixture.#runtimePort = runtimePort;
    if (options.edit !== undefined) fixture.#edit = options.edit;
    await fixture.render(plan, { context: options.context ?? false });
    for (const [path, content] of seedFiles(plan, { files: folder, inner: options.inner ?? [] }))
      await writeFile(path, content);
    fixture.haproxy.start();
    await fixture.waitForHaproxy();
    await fixture.startCompanion();
    return fixture;
  }

  async render(plan: Plan, { context = false } = {}): Promise<void> {
    this.#plan = plan;
    const config = renderConfig(plan, {
      bind: `127.0.0.1:${new URL(this.url).port}`,
      socket: this.socket,
      files: this.folder,
      context,
      inner: this.#inner,
      ...this.#shutIn,
      ...(this.#tlsCert === undefined ? {} : { tlsCert: this.#tlsCert }),
    });
    const byTcp = `    stats socket ipv4@127.0.0.1:${this.#runtimePort} level admin expose-fd listeners`;
    const reached =
      this.#runtimePort === undefined ? config : config.replace(/^global$/m, `global\n${byTcp}`);
    await writeFile(join(this.folder, 'haproxy.cfg'), this.#edit(reached));
  }

  async waitForHaproxy(): Promise<void> {
    await until(async () => {
      if (!this.haproxy.running) throw new Error(`HAProxy ended: ${this.output}`);
      // A connection that is left open keeps a process that is replaced from its end.
      return request(this.url, { reset: true }).then(
        async ({ body }) => {
          await body.dump();
          return true;
        },
        () => false,
      );
    }, 'HAProxy listens');
  }

  /** Reloads HAProxy, and waits until a new process serves by the routes that were in effect. */
  async reloaded(): Promise<void> {
    const before = await this.process();
    await this.haproxy.reload();
    await until(async () => (await this.process()) !== before, 'another HAProxy process answers');
    await this.admin.stats({});
  }

  /** Version of the routes of a service behind this one, by which HAProxy decides for it. */
  async innerVersion(service: string): Promise<number> {
    const file = filesIn(this.folder).inner(service);
    const answer = await this.command(`get map ${file} ${SPECIAL.version}`);
    // With a mark of the rules by which it decides; negative where it decides nothing.
    return Math.abs(Number.parseInt(readMapValue(answer) ?? '0', 10));
  }

  /** What is in a stick table, as HAProxy shows it. */
  async tableOf(name: string): Promise<string> {
    return this.command(`show table ${name}`);
  }

  /** State of each server in a slot, by `backend/server`. */
  async states(): Promise<ReadonlyMap<string, ServerState>> {
    const servers = readServers(await this.command('show servers state'));
    const inSlots = servers.filter(({ backend }) => backend.startsWith(`${SERVICE}_`));
    return new Map(inSlots.map(({ backend, name, state }) => [`${backend}/${name}`, state]));
  }

  /** What the process that runs now answers to somebody else than its companion. */
  async command(text: string): Promise<string> {
    const connection = await RuntimeConnection.open({ path: this.socket });
    try {
      const [answer = ''] = await connection.send([text]);
      return answer;
    } finally {
      connection.close();
    }
  }

  /** HAProxy hands its tables on once it has stopped waiting for a predecessor of its own, five seconds after its start. */
  async handsOn(): Promise<void> {
    const done = async (): Promise<boolean> => hasPeersData(await this.command('show peers'));
    await until(done, 'HAProxy waits for no predecessor');
  }

  /** Files as of before there were any routes: a disk that was put back. */
  async spoilFiles(): Promise<void> {
    if (this.#plan === null) return;
    for (const [path, content] of seedFiles(this.#plan, { files: this.folder, inner: this.#inner }))
      await writeFile(path, content);
  }

  /** The process that answers on the Runtime API now. */
  async process(): Promise<string> {
    try {
      return readProcess(await this.command('show info')).id;
    } catch {
      return '';
    }
  }

  async startCompanion(): Promise<void> {
    this.companion = this.#companion();
    await this.companion.start();
    this.admin = createGatewayOverHttp(
      { name: 'gw-1', admin: this.companion.adminUrl ?? '' },
      { timeoutMs: 20_000 },
    );
  }

  #companion(): Companion {
    return createCompanion(
      {
        name: 'gw-1',
        service: SERVICE,
        socket:
          this.#runtimePort === undefined ? `unix@${this.socket}` : `ipv4@127.0.0.1:${this.#runtimePort}`,
        filesDir: this.folder,
        lookupDir: this.folder,
        admin: { port: 0 },
        stateDir: join(this.folder, 'state'),
        contextFor: this.#inner.map(({ service }) => service),
        ...(this.#controllerUrl === undefined ? {} : { controllerUrl: this.#controllerUrl }),
      },
      {
        logger: pino({ level: process.env['GATEWAY_LOG'] ?? 'silent' }),
        now: () => Date.now() + this.aheadMs,
      },
    );
  }

  async routesOnDisk(): Promise<string> {
    return readFile(join(this.folder, 'routes.map'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.companion.close();
    await this.haproxy[Symbol.asyncDispose]();
    await Promise.all(this.#upstreams.map((upstream) => upstream[Symbol.asyncDispose]()));
    await rm(this.folder, { recursive: true, force: true });
  }
}
