import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { endChild, startChild } from './child.ts';
import { openLoop } from './open-loop.ts';

/** Something that requests can be sent to; `pid` is what its CPU time is read of (0: no proxy at all). */
export interface Target {
  readonly name: 'direct' | 'embedded' | 'haproxy' | 'kamal-proxy';
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

export function direct(port: number): Target {
  return { name: 'direct', port, pid: 0, close: () => Promise.resolve() };
}

export async function startEmbedded(
  folder: string,
  ports: readonly number[],
  profileTo: string | null,
): Promise<Target> {
  const { process, told } = await startChild('gateway-process', {
    args: [join(folder, 'gateway'), ...ports.map(urlOf)],
    execArgv: profileTo === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`],
  });
  const { url } = z.object({ url: z.string() }).parse(told);
  return {
    name: 'embedded',
    port: Number(new URL(url).port),
    pid: process.pid ?? 0,
    close: () => endChild(process),
  };
}

/** HAProxy doing the like of it: key by tail, stickiness by a table, fewest connections. Null where it is not there. */
export async function startHaproxy(folder: string, ports: readonly number[]): Promise<Target | null> {
  const binary = onPath('haproxy');
  if (binary === null) return null;
  const port = await freePort();
  const servers = (parity: number): string =>
    ports
      .filter((_, i) => i % 2 === parity)
      .map((each, i) => `  server s${i} 127.0.0.1:${each}`)
      .join('\n');
  const config = `
global
  maxconn 4000
defaults
  mode http
  timeout connect 3s
  timeout client 75s
  timeout server 60s
  option forwardfor
frontend in
  bind 127.0.0.1:${port}
  acl odd req.hdr(x-account) -m reg [13579]$
  use_backend a if odd
  default_backend b
backend a
  balance leastconn
  stick-table type string len 64 size 100k expire 60s
  stick on req.hdr(x-transaction)
${servers(0)}
backend b
  balance leastconn
  stick-table type string len 64 size 100k expire 60s
  stick on req.hdr(x-transaction)
${servers(1)}
`;
  const path = join(folder, 'haproxy.cfg');
  await writeFile(path, config);
  const child = spawn(binary, ['-db', '-f', path], { stdio: 'ignore' });
  return ready({ name: 'haproxy', port, pid: child.pid ?? 0, close: () => endChild(child) });
}

/** kamal-proxy as its own tool sets it up, in front of the same servers. Null where it is not there. */
export async function startKamalProxy(folder: string, ports: readonly number[]): Promise<Target | null> {
  const binary = onPath('kamal-proxy');
  if (binary === null) return null;
  const [port, tlsPort, home] = [await freePort(), await freePort(), join(folder, 'kamal')];
  await mkdir(home, { recursive: true });
  const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home, KAMAL_PROXY_SOCKET: join(home, 'socket') };
  const child: ChildProcess = spawn(
    binary,
    ['run', '--http-port', String(port), '--https-port', String(tlsPort)],
    { stdio: 'ignore', env },
  );
  const close = (): Promise<void> => endChild(child);
  await until(() => existsSync(env.KAMAL_PROXY_SOCKET));
  const targets = ports.map((each) => `127.0.0.1:${each}`).join(',');
  await promisify(execFile)(binary, ['deploy', 'bench', '--target', targets], { env });
  return ready({ name: 'kamal-proxy', port, pid: child.pid ?? 0, close });
}

async function ready(target: Target): Promise<Target> {
  await until(
    async () => (await openLoop({ port: target.port, ratePerSecond: 20, seconds: 0.1 })).failed === 0,
  );
  return target;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('a proxy did not get ready');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Looks on PATH, and where this project keeps what it was given. */
export function onPath(command: string): string | null {
  const own = join(homedir(), '.cache', 'changeover', 'bin', command);
  if (existsSync(own)) return own;
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v "$0"', command], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
