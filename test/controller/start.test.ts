import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { controllerConfigSchema } from '../../src/controller/config.ts';
import { createFlowController } from '../../src/adapters/flow-controller.ts';
import { definitionWith, makeStateDir, startController } from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const token = 'a-token-of-some-length';

describe('starting a controller', () => {
  it('is refused where another one uses the state folder, and possible once that one has closed', async () => {
    await using dir = await makeStateDir();
    const first = await startController({ stateDir: dir.path });
    await expect(startController({ stateDir: dir.path })).rejects.toThrow(
      new RegExp(`process ${process.pid}\\) uses the state folder`),
    );
    await first.close();
    await using _ = await startController({ stateDir: dir.path });
  });

  it.each([
    ['of a process that is gone', async () => ({ pid: await deadPid(), started: null })],
    ['of a process whose id has gone to another', async () => ({ pid: process.pid, started: '1' })],
    ['that was cut off', async () => '{"pid":'],
  ])('clears away the lock file %s', async (_, make) => {
    await using dir = await makeStateDir();
    const content = await make();
    await writeFile(
      join(dir.path, 'controller.lock'),
      typeof content === 'string' ? content : JSON.stringify(content),
    );
    await using _controller = await startController({ stateDir: dir.path });
  });

  it.each(['shop.json', 'shop.traffic.json'])(
    'is refused with a damaged %s, which it names',
    async (file) => {
      await using dir = await makeStateDir();
      await using gateway = await startStubGateway();
      const first = await startController({ stateDir: dir.path });
      await first.client.adopt(service, definitionWith([gateway.address]));
      await first.client.traffic(service);
      await first.close();
      const path = join(dir.path, file);
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.slice(0, text.length / 2));
      await expect(startController({ stateDir: dir.path })).rejects.toThrow(
        `its state in ${path} is damaged`,
      );
      // Nothing of it was written over, and no lock stays behind.
      expect(await readFile(path, 'utf8')).toBe(text.slice(0, text.length / 2));
      await writeFile(path, text);
      await using _ = await startController({ stateDir: dir.path });
    },
  );

  it('leaves only its state files behind', async () => {
    await using dir = await makeStateDir();
    await using gateway = await startStubGateway();
    const controller = await startController({ stateDir: dir.path });
    await controller.client.adopt(service, definitionWith([gateway.address]));
    await controller.client.traffic(service);
    await controller.close();
    expect((await readdir(dir.path)).sort()).toEqual(['shop.json', 'shop.traffic.json']);
  });

  it('asks for its token', async () => {
    await using dir = await makeStateDir();
    await using controller = await startController({ stateDir: dir.path, token });
    await expect(controller.client.status(service)).rejects.toMatchObject({ code: 'ServiceUnknown' });
    await expect(createFlowController({ url: controller.url }).status(service)).rejects.toMatchObject({
      code: 'Unauthorized',
    });
  });

  it('is refused on other hosts than loopback without a token', async () => {
    await using dir = await makeStateDir();
    const started = startController({ stateDir: dir.path, listen: { host: '0.0.0.0', port: 0 } });
    await expect(started).rejects.toThrow(/without a token/);
    expect(await readdir(dir.path)).toEqual([]);
  });

  it('has safe defaults', () => {
    expect(controllerConfigSchema.parse({ listen: { port: 7400 }, stateDir: '/var/lib/changeover' })).toEqual(
      {
        listen: { host: '127.0.0.1', port: 7400 },
        stateDir: '/var/lib/changeover',
        readIntervalMs: 1000,
      },
    );
  });
});

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0']);
  await once(child, 'exit');
  return child.pid ?? 0;
}
