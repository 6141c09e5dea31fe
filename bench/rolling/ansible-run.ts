import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { extract } from 'tar';
import { BASELINE, buildPackage, STATIC_HOME } from '../../demo/packages.ts';
import { spawnLoad } from '../../demo/load/process.ts';
import { freePorts } from '../../src/dev-server/free-port.ts';
import { parseBusinessLines, restartsOf } from '../upgrade/restarts.ts';
import { startBusiness, startPlainHaproxy, type PlainServer } from './plain-haproxy.ts';
import { measured, QUICK_ONLY, type RollingResult, type RollingRun } from './rolling-result.ts';

const run = promisify(execFile);

/** How the playbook talks to HAProxy. */
export type Manner = 'module' | 'socat';

const PLAYBOOK = fileURLToPath(new URL('./playbook/rolling.yml', import.meta.url));
const NAMES = Array.from({ length: 10 }, (_, index) => `server-${index + 1}`);

/** Whether `ansible-playbook` is here, with the collection that has the haproxy module. */
export async function hasAnsible(): Promise<boolean> {
  try {
    await run('ansible-doc', ['-t', 'module', 'community.general.haproxy']);
    return true;
  } catch {
    return false;
  }
}

/** Ways to talk to HAProxy that are possible here: a playbook without its program would wait for ever. */
export async function mannersHere(): Promise<readonly Manner[]> {
  const isThere = await run('socat', ['-V']).then(
    () => true,
    () => false,
  );
  return isThere ? ['module', 'socat'] : ['module'];
}

/** A rolling upgrade of ten servers by Ansible behind a plain HAProxy, under load. */
export async function measureAnsible(
  { folder, ratePerSecond, beforeMs, onProgress }: RollingRun,
  { manner, batch }: { manner: Manner; batch: number },
): Promise<RollingResult> {
  const home = join(folder, `ansible-${manner}-${batch}`);
  const packages = join(home, 'packages');
  await mkdir(packages, { recursive: true });
  const [before, after] = [
    await buildPackage({ ...BASELINE, outDir: packages }),
    await buildPackage({ ...STATIC_HOME, outDir: packages }),
  ];
  const ports = await freePorts(NAMES.length);
  const servers = NAMES.map((name, index): PlainServer => ({
    name,
    home: join(home, name),
    port: ports[index] ?? 0,
  }));
  for (const { home: at } of servers) {
    await mkdir(join(at, before.version), { recursive: true });
    await mkdir(join(at, after.version), { recursive: true });
    await extract({ file: join(packages, before.fileName), cwd: join(at, before.version) });
    await symlink(join(at, before.version), join(at, 'current'));
  }
  await using _business = await startBusiness(servers);
  await using haproxy = await startPlainHaproxy(home, servers);
  const inventory = join(home, 'inventory.json');
  await writeFile(
    inventory,
    JSON.stringify({
      servers: {
        hosts: Object.fromEntries(servers.map(({ name, home: at, port }) => [name, { home: at, port }])),
      },
    }),
  );
  await using load = await spawnLoad({ url: haproxy.url, ratePerSecond, mix: QUICK_ONLY });
  return await measured({ load, beforeMs, onProgress }, async () => {
    const variables = {
      ...{ manner, batch, socket: haproxy.socket, node: process.execPath },
      ...{ package: join(packages, after.fileName), version: after.version },
    };
    const args = [
      '-i',
      inventory,
      '--forks',
      String(batch),
      '--extra-vars',
      JSON.stringify(variables),
      PLAYBOOK,
    ];
    await run('ansible-playbook', args, { cwd: home, env: { ...process.env, ANSIBLE_PIPELINING: 'true' } });
    const changed = await Promise.all(servers.map((server) => restartsOf(server.name, recordOf(server))));
    await assertAllRun(servers, after.version);
    return { batches: inBatches(changed.flat(), batch) };
  });
}

function recordOf({ home }: PlainServer): string {
  return join(home, 'business.jsonl');
}

async function assertAllRun(servers: readonly PlainServer[], version: string): Promise<void> {
  for (const server of servers) {
    const last = parseBusinessLines(await readFile(recordOf(server), 'utf8')).at(-1);
    if (last?.event !== 'start' || last.version !== version) {
      throw new Error(`${server.name} does not run ${version} after the playbook`);
    }
  }
}

function inBatches<Item extends { readonly stoppingAt: number }>(
  items: readonly Item[],
  size: number,
): Item[][] {
  const sorted = [...items].sort((a, b) => a.stoppingAt - b.stoppingAt);
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_, index) =>
    sorted.slice(index * size, (index + 1) * size),
  );
}
