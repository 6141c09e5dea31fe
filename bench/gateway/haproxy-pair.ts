import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../demo/fleet/until.ts';
import { createGatewayOverHttp } from '../../src/adapters/gateway-over-http.ts';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import { COUNT_KEY, filesIn, GO, slotName } from '../../src/haproxy/layout.ts';
import { renderConfig, seedFiles } from '../../src/haproxy/render.ts';
import type { Plan } from '../../src/domain/plan/schema.ts';
import { benchPlan, trialTable } from './bench-plan.ts';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const READY_MS = 10_000;
const GRACE_MS = 3_000;
const SERVERS = 6;

/** An HAProxy of one thread in front of the servers of the bench. */
export interface OneThread {
  readonly name: 'plain' | 'plain, retrying' | 'least' | 'changeover';
  readonly port: number;
  readonly pid: number;
}

export interface HaproxyPair extends AsyncDisposable {
  readonly targets: readonly OneThread[];
}

/**
 * HAProxies with the same bind options, timeouts, servers, balancing and re-use of connections, of one thread each, on one
 * processor of their own: one with the configuration that `changeover haproxy render` prints for a plan and its companion
 * at work, one with plain backends, and one with plain backends that sends a request again as ours does where a server
 * closes a connection without an answer: for that HAProxy copies requests, which is no matter of maps and tables. The
 * least is what no configuration can do without that routes by a map, keeps transactions on their server by a table and
 * counts in one. The servers are an HAProxy that answers by itself, the only thing here that is faster than they are.
 */
export async function startHaproxyPair(folder: string, haproxy: string): Promise<HaproxyPair> {
  await mkdir(folder, { recursive: true });
  const started: ChildProcess[] = [];
  const start = async (name: string, config: string, cpu: number, port: number): Promise<ChildProcess> => {
    const path = join(folder, `${name}.cfg`);
    await writeFile(path, config);
    const child = spawn('taskset', ['-c', String(cpu), haproxy, '-db', '-f', path], { stdio: 'ignore' });
    bindToThisProcess(child);
    started.push(child);
    await until(`${name} listens`, () => answers(port), { timeoutMs: READY_MS });
    return child;
  };
  try {
    const [ours = 0, plain = 0, retrying = 0, least = 0, admin = 0, ...ports] = await freePorts(5 + SERVERS);
    await start('servers', serversConfig(ports), 1, ports[0] ?? 0);
    const plan = benchPlan(ports.map((port) => `http://127.0.0.1:${port}`));
    const socket = join(folder, 'admin.sock');
    const options = { bind: `127.0.0.1:${ours}`, socket, files: folder };
    for (const [path, content] of seedFiles(plan, options)) await writeFile(path, content);
    const rendered = oneThread(renderConfig(plan, options));
    const child = await start('changeover', rendered, 0, ours);
    started.push(companion({ folder, socket, admin }));
    await until('the companion answers', () => answers(admin), { timeoutMs: READY_MS });
    await createGatewayOverHttp({ name: 'bench', admin: `http://127.0.0.1:${admin}` }).publish(
      trialTable(plan, 1),
      {},
    );
    const peer = await start('plain', plainConfig(plain, ports, []), 0, plain);
    const again = await start('retrying', plainConfig(retrying, ports, RETRIES), 0, retrying);
    const bare = await start('least', leastConfig(least, plan, folder), 0, least);
    return {
      targets: [
        { name: 'plain', port: plain, pid: peer.pid ?? 0 },
        { name: 'plain, retrying', port: retrying, pid: again.pid ?? 0 },
        { name: 'least', port: least, pid: bare.pid ?? 0 },
        { name: 'changeover', port: ours, pid: child.pid ?? 0 },
      ],
      [Symbol.asyncDispose]: () => endAll(started),
    };
  } catch (error) {
    await endAll(started);
    throw error;
  }
}

async function endAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children.toReversed()) await endProcess(child, GRACE_MS);
}

function companion(parts: { folder: string; socket: string; admin: number }): ChildProcess {
  const { folder, socket, admin } = parts;
  const child = spawn(
    'taskset',
    [
      ...['-c', '1', process.execPath, CLI, 'haproxy', 'serve', '--name', 'bench', '--service', 'bench'],
      ...['--socket', `unix@${socket}`, '--files', folder, '--admin', `127.0.0.1:${admin}`],
      ...['--no-controller', '--state', join(folder, 'state')],
    ],
    { stdio: 'ignore' },
  );
  bindToThisProcess(child);
  return child;
}

/** The only thing that is changed of what is rendered: both get one thread. */
function oneThread(config: string): string {
  return config.replace(/^global$/m, 'global\n    nbthread 1');
}

/** Of what is rendered, the lines by which requests are sent again. */
const RETRIES = [
  'http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }',
  'retry-on conn-failure empty-response',
];

/** Somebody's HAProxy before Changeover: the same binds, timeouts and servers, and no rules, maps or tables. */
function plainConfig(port: number, servers: readonly number[], more: readonly string[]): string {
  const lines = servers.map((at, i) => `server s${i} 127.0.0.1:${at}`);
  return [
    ...webSection(port, ['default_backend servers']),
    ...backend('servers', [...more, ...checked(lines)]),
  ].join('\n');
}

/** One look-up in the routes map, one table for transactions, one for counts; no request is sent again. */
function leastConfig(port: number, plan: Plan, folder: string): string {
  const { digits, routes } = filesIn(folder);
  const { servers } = trialTable(plan, 1);
  const releases = [...new Set(servers.map(({ release }) => release))];
  return [
    ...webSection(port, [
      `http-request set-var(txn.go) req.fhdr(x-account,1),map_end(${digits}),map_str(${routes}),add(0)`,
      'http-request set-var(txn.began) date(0,ms)',
      `use_backend ${plan.service}_%[var(txn.go),div(${GO.slot})]`,
      'http-response set-var(txn.took) date(0,ms),sub(txn.began)',
      `http-response set-var(txn.took) var(txn.go),and(${GO.number}),mul(${COUNT_KEY.number}),add(txn.took)`,
      `http-response track-sc0 srv_id,mul(${COUNT_KEY.server}),add(txn.took) table counts`,
    ]),
    ...backend('counts', ['stick-table type string len 400 size 200k store http_req_cnt']),
    ...backend('transactions', ['stick-table type string len 256 size 100k expire 60s']),
    ...releases.flatMap((release, index) =>
      backend(slotName(plan.service, index + 1), [
        'stick on req.fhdr(x-transaction,1) table transactions',
        ...checked(
          servers
            .filter((server) => server.release === release)
            .map(({ name, url }) => `server ${name} ${new URL(url).host}`),
        ),
      ]),
    ),
  ].join('\n');
}

function webSection(port: number, rules: readonly string[]): string[] {
  return [
    'global',
    '    nbthread 1',
    '    tune.pattern.cache-size 0',
    '    log stdout format raw local0 notice',
    'defaults',
    '    mode http',
    '    log global',
    '    timeout connect 3s',
    '    timeout client 75s',
    '    timeout server 60s',
    '    timeout http-request 10s',
    '    timeout http-keep-alive 75s',
    '    option idle-close-on-response',
    '    balance leastconn',
    '    option redispatch 1',
    'frontend web',
    `    bind 127.0.0.1:${port}`,
    '    option forwardfor',
    ...rules.map((rule) => `    ${rule}`),
  ];
}

function backend(name: string, lines: readonly string[]): string[] {
  return [`backend ${name}`, ...lines.map((line) => `    ${line}`), ''];
}

function checked(servers: readonly string[]): string[] {
  return servers.map((server) => `${server} check inter 1s fall 2 rise 1`);
}

function serversConfig(ports: readonly number[]): string {
  const body = 'x'.repeat(1_024);
  return `global
    nbthread 1
defaults
    mode http
    timeout connect 3s
    timeout client 300s
    timeout server 60s
frontend servers
${ports.map((port) => `    bind 127.0.0.1:${port}`).join('\n')}
    http-request return status 200 content-type text/plain hdr X-Amount 1 string ${body}
`;
}
