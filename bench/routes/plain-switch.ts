import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../demo/fleet/until.ts';
import { bindToThisProcess, endProcess } from '../../src/dev-server/bound-process.ts';
import { answers, freePorts } from '../../src/dev-server/free-port.ts';
import { expectSilence, RuntimeConnection } from '../../src/haproxy/runtime-api.ts';
import { nowMs } from './clock.ts';

const READY_MS = 10_000;
const GRACE_MS = 1_000;

/** An HAProxy alone, that one command on its socket sends to the other version: the least that a switch can take. */
export interface PlainSwitch extends AsyncDisposable {
  readonly port: number;
  switchTo(side: number): Promise<{ fromMs: number; answeredMs: number }>;
}

export async function startPlainSwitch(
  folder: string,
  { haproxy, servers }: { haproxy: string; servers: readonly number[] },
): Promise<PlainSwitch> {
  await mkdir(folder, { recursive: true });
  const [port = 0] = await freePorts(1);
  const [map, socket, config] = ['side.map', 'admin.sock', 'haproxy.cfg'].map((file) => join(folder, file));
  await writeFile(map ?? '', 'side side0\n');
  await writeFile(
    config ?? '',
    `global
    stats socket ${socket} level admin
defaults
    mode http
    timeout connect 3s
    timeout client 75s
    timeout server 60s
frontend web
    bind 127.0.0.1:${port}
    use_backend %[str(side),map_str(${map})]
${servers.map((at, side) => `backend side${side}\n    server only 127.0.0.1:${at}`).join('\n')}
`,
  );
  const child = spawn(haproxy, ['-db', '-f', config ?? ''], { stdio: 'ignore' });
  bindToThisProcess(child);
  await until('the HAProxy alone listens', () => answers(port), { timeoutMs: READY_MS });
  const connection = await RuntimeConnection.open({ path: socket ?? '' });
  return {
    port,
    async switchTo(side) {
      const command = [`set map ${map} side side${side}`];
      const fromMs = nowMs();
      expectSilence(command, await connection.send(command));
      return { fromMs, answeredMs: nowMs() };
    },
    async [Symbol.asyncDispose]() {
      connection.close();
      await endProcess(child, GRACE_MS);
    },
  };
}
