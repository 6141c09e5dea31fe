import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { agents } from '../../demo/compose/fleet.ts';
import { PROFILES, readWrittenPlan, writeFiles } from '../../demo/compose/files.ts';
import { startDevServer } from '../../src/dev-server/dev-server.ts';
import { findTemporal } from '../../src/dev-server/find-temporal.ts';
import { SEARCH_ATTRIBUTES } from '../../src/domain/search-attributes.ts';
import { connectTemporal } from '../../src/temporal.ts';
import { createProgram } from '../../src/cli/program.ts';
import { loadAgentConfig } from '../../src/agent/config.ts';

const FILE = 'docker-compose.yml';
const OWN_IMAGE = /^changeover:/;

const composeSchema = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      command: z.array(z.string()).optional(),
      entrypoint: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.string()).optional(),
      volumes: z.array(z.string()).optional(),
      ports: z.array(z.string()).optional(),
      depends_on: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  volumes: z.record(z.string(), z.null()),
});
const { services, volumes } = composeSchema.parse(parse(readFileSync(FILE, 'utf8'), { merge: true }));
const entries = Object.entries(services);

describe('docker-compose.yml', () => {
  it('is valid by the compose specification, and without known bad practice', async () => {
    const dclint = 'node_modules/dclint/bin/dclint.cjs';
    await promisify(execFile)(process.execPath, [
      dclint,
      '--config',
      'deploy/dclint.yaml',
      '--max-warnings',
      '0',
      FILE,
    ]);
  });

  it('publishes ports on this machine only, and pins every image', () => {
    for (const [name, { image, ports }] of entries) {
      expect(image, name).toMatch(/:v?\d/);
      for (const port of ports ?? []) expect(port, name).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it('mounts what is in the repository, and volumes that it declares', () => {
    for (const [name, service] of entries) {
      for (const [source = ''] of (service.volumes ?? []).map((volume) => volume.split(':'))) {
        const known = source.startsWith('.') ? existsSync(source) : Object.hasOwn(volumes, source);
        expect(known, `${name} mounts ${source}`).toBe(true);
      }
    }
  });

  it('has a container for each server of the demo fleet, started with its own configuration', () => {
    const started = entries.filter(([, { command }]) => command?.[0] === 'agent');
    expect(started.map(([name]) => name).sort()).toEqual(
      agents()
        .map(({ server }) => server)
        .sort(),
    );
    for (const [name, { command }] of started) expect(command?.at(-1)).toBe(`/demo/agents/${name}.json`);
  });

  it('gives the command line only commands and options that it has', async () => {
    const none = { write: () => true } as never;
    for (const [name, { image, entrypoint, command = [] }] of entries) {
      if (!OWN_IMAGE.test(image) || entrypoint !== undefined || command[0] === '--help') continue;
      const program = createProgram({ env: {}, out: none, err: none });
      // Everything up to what it would do.
      const ran: string[] = [];
      const all = program.commands.flatMap((one) => [one, ...one.commands]);
      for (const one of all) one.action(() => void ran.push(one.name()));
      await program.parseAsync(command, { from: 'user' });
      expect(ran, name).toEqual([command[0] === 'haproxy' ? command[1] : command[0]]);
    }
  });

  it('runs only programs that the build makes', () => {
    for (const [name, { image, entrypoint }] of entries) {
      const program = OWN_IMAGE.test(image) ? entrypoint?.[1] : undefined;
      if (program === undefined) continue;
      const source = program.replace('/app/dist/', '').replace(/\.js$/, '.ts');
      expect(existsSync(source), `${name}: ${source}`).toBe(true);
    }
  });

  it('lets Prometheus read ports on which something of ours listens', () => {
    const { scrape_configs } = z
      .object({
        scrape_configs: z.array(
          z.object({ static_configs: z.array(z.object({ targets: z.array(z.string()) })) }),
        ),
      })
      .parse(parse(readFileSync('deploy/prometheus.yml', 'utf8')));
    const targets = scrape_configs.flatMap((one) => one.static_configs.flatMap((some) => some.targets));
    expect(targets).toHaveLength(2);
    for (const [host = '', port = ''] of targets.map((target) => target.split(':'))) {
      expect(services[host]?.command?.join(' '), host).toContain(`0.0.0.0:${port}`);
    }
  });
});

describe('the files of the demo clusters', () => {
  it('are packages, a plan that is valid, and a configuration that each agent takes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'changeover-compose-'));
    try {
      await writeFiles(folder);
      const plan = await readWrittenPlan(folder);
      for (const profile of PROFILES) {
        const { gateways } = await readWrittenPlan(folder, profile);
        for (const { name, admin } of gateways) {
          const { hostname, port } = new URL(admin);
          // The name by which it acknowledges, and where it can be reached.
          expect(services[hostname]?.command).toEqual(expect.arrayContaining([name, `0.0.0.0:${port}`]));
        }
      }
      expect((await readdir(join(folder, 'packages'))).sort()).toEqual([
        'wealth-1.4.tgz',
        'wealth-2.0-a.tgz',
        'wealth-2.0-b.tgz',
      ]);
      expect(dirname(plan.baseline.packages[0]?.path ?? '')).toBe(folder);
      for (const { server } of agents()) {
        const config = await loadAgentConfig(join(folder, 'agents', `${server}.json`));
        expect(config).toMatchObject({ server, packageRoots: [join(folder, 'packages')] });
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('the namespace script of the compose file', () => {
  it('makes a namespace with our search attributes, and may run again', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'changeover-compose-'));
    await using server = await startDevServer({ logFile: join(folder, 'temporal.log') });
    const env = {
      PATH: `${dirname(await findTemporal())}:${process.env.PATH}`,
      HOME: folder,
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: 'bank',
    };
    for (const _run of [1, 2]) await promisify(execFile)('sh', ['deploy/temporal/namespace.sh'], { env });
    await using temporal = await connectTemporal(env);
    const { customAttributes } = await temporal.connection.operatorService.listSearchAttributes({
      namespace: 'bank',
    });
    expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(Object.keys(SEARCH_ATTRIBUTES)));
    await rm(folder, { recursive: true });
  });
});
