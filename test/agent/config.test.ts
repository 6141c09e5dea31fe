import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAgent } from '../../src/agent/agent.ts';
import { loadAgentConfig } from '../../src/agent/config.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'changeover-config-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function load(text: string) {
  const path = join(dir, 'agent.yaml');
  await writeFile(path, text);
  return loadAgentConfig(path);
}

const minimal = () => `
server: web-1
service: wealth
listen: { port: 0 }
installDir: ${dir}/install
packageRoots: [${dir}/packages, https://packages.example/wealth]
run: { command: [node, server.js], stopGrace: 5s }
health: { url: http://127.0.0.1:8080/health }
`;

describe('the configuration of an agent', () => {
  it('has safe defaults', async () => {
    expect(await load(minimal())).toMatchObject({
      listen: { host: '127.0.0.1' },
      stateDir: `${dir}/install/.agent`,
      software: { kind: 'run', stopGraceMs: 5000, stopWithAgent: false, cwd: '.' },
      health: { timeoutMs: 30_000, intervalMs: 200 },
      keepReleases: 3,
    });
  });

  it('says everything that is wrong at once: field, what it held, what it may hold', async () => {
    const text = `
server: Web 1
service: wealth
listen: { port: 70000 }
instalDir: /opt/wealth
installDir: opt/wealth
packageRoots: [packages]
run: { command: node server.js }
systemd: { unit: wealth.service }
health: { url: 127.0.0.1, timeout: 30 }
inFlight: { port: 8080 }
`;
    const error = await load(text).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'InvalidPlan' });
    const lines = String(error).split('\n');
    for (const expected of [
      'server held "Web 1"; it must be a name',
      'listen.port held 70000; it must be 65535 or less',
      'installDir held "opt/wealth"; it must be an absolute path',
      'packageRoots[0] held "packages"; it must be an absolute folder, or an http or https address',
      'run.command held "node server.js"; it must be a list of strings',
      'exactly one of the three',
      'health.url held "127.0.0.1"; it must be an http or https address',
      'health.timeout held 30; it must be a duration',
      'inFlight held a mapping with port; it must be either',
      'instalDir held "/opt/wealth"; it must not be there',
      'Did you mean installDir?',
    ]) {
      expect(
        lines.some((line) => line.includes(expected)),
        `${expected}\nin\n${lines.join('\n')}`,
      ).toBe(true);
    }
  });

  it('refuses duplicate keys, custom tags and keys that reach into prototypes', async () => {
    for (const more of ['server: web-2', 'x: !!js/function "f"', '__proto__: {a: 1}', 'a: &a [*a]']) {
      await expect(load(minimal() + more)).rejects.toMatchObject({ code: 'InvalidPlan' });
    }
  });

  it('lets nobody else reach the agent without a token', async () => {
    const config = await load(minimal());
    const open = { ...config, listen: { host: '0.0.0.0', port: 0 } };
    await using agent = createAgent(open, { logger: pino({ level: 'silent' }) });
    await expect(agent.start()).rejects.toThrow(/without a token/);
    await agent.close();

    const byName = { ...open, token: { env: 'AGENT_TOKEN' } };
    await using unset = createAgent(byName, { logger: pino({ level: 'silent' }), env: {} });
    await expect(unset.start()).rejects.toThrow(/AGENT_TOKEN/);
    await unset.close();

    await using guarded = createAgent(byName, {
      logger: pino({ level: 'silent' }),
      env: { AGENT_TOKEN: 'long-enough' },
    });
    const { url } = await guarded.start();
    const local = url.replace('0.0.0.0', '127.0.0.1');
    expect((await fetch(`${local}/v1/status`)).status).toBe(401);
    const headers = { authorization: 'Bearer long-enough' };
    expect((await fetch(`${local}/v1/status`, { headers })).status).toBe(200);
    expect((await fetch(`${local}/health`)).status).toBe(200);
  });

  it('lets one agent only manage a folder', async () => {
    const config = await load(minimal());
    await using first = createAgent(config, { logger: pino({ level: 'silent' }) });
    await first.start();
    await using second = createAgent(config, { logger: pino({ level: 'silent' }) });
    await expect(second.start()).rejects.toThrow(/Another agent/);
  });
});
