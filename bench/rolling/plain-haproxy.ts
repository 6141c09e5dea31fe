import { spawn } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { request } from 'undici';
import { until } from '../../demo/fleet/until.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { endProcess } from '../../src/dev-server/bound-process.ts';

/** A server as a playbook knows it: a folder with `current`, `pid` and the lines that the business records. */
export interface PlainServer {
  readonly name: string;
  readonly home: string;
  readonly port: number;
}

const READY_MS = 10_000;

/** Starts the business of `current` everywhere; disposing ends whatever runs there by then. */
export async function startBusiness(servers: readonly PlainServer[]): Promise<AsyncDisposable> {
  for (const server of servers) await startOne(server);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const { home } of servers)
        process.kill(Number(await readFile(join(home, 'pid'), 'utf8')), 'SIGKILL');
    },
  };
}

async function startOne({ name, home, port }: PlainServer): Promise<void> {
  const log = await open(join(home, 'log'), 'a');
  const child = spawn(process.execPath, ['server.js'], {
    cwd: join(home, 'current'),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    env: {
      ...process.env,
      PORT: String(port),
      SERVER_NAME: name,
      RECORD_FILE: join(home, 'business.jsonl'),
    },
  });
  child.unref();
  await log.close();
  await writeFile(join(home, 'pid'), String(child.pid));
  await until(`${name} serves`, () => answers(`http://127.0.0.1:${port}/health`), { timeoutMs: READY_MS });
}

export interface PlainHaproxy extends AsyncDisposable {
  readonly url: string;
  readonly socket: string;
}

/** HAProxy with one backend and nothing of ours, as somebody has it who does rolling upgrades by a playbook. */
export async function startPlainHaproxy(
  folder: string,
  servers: readonly PlainServer[],
): Promise<PlainHaproxy> {
  const [port = 0] = await freePorts(1);
  // A path of a socket may be 107 characters long.
  const socket = join(folder, 'admin.sock');
  const config = join(folder, 'haproxy.cfg');
  await writeFile(
    config,
    `global
  stats socket ${socket} level admin
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 60s
frontend web
  bind 127.0.0.1:${port}
  default_backend business
backend business
  balance leastconn
  option httpchk GET /health
  default-server check inter 100ms rise 1
${servers.map(({ name, port: at }) => `  server ${name} 127.0.0.1:${at}`).join('\n')}
`,
  );
  const log = await open(join(folder, 'haproxy.log'), 'a');
  const child = spawn('haproxy', ['-db', '-f', config], { stdio: ['ignore', log.fd, log.fd] });
  await log.close();
  const url = `http://127.0.0.1:${port}`;
  await until('HAProxy serves', () => answers(url), { timeoutMs: READY_MS });
  return { url, socket, [Symbol.asyncDispose]: () => endProcess(child, 1_000) };
}

async function answers(url: string): Promise<boolean> {
  const { statusCode, body } = await request(url);
  await body.dump();
  return statusCode === 200;
}
