import { describe, expect, it } from 'vitest';
import { stateOfHolder } from '../../src/cli/lock-holder.ts';
import { definitionWith, makeStateDir, startController } from '../controller/running-controller.ts';
import { runCaptured } from './captured-context.ts';

const gateways = [{ name: 'gw-1', kind: 'embedded', admin: 'http://127.0.0.1:1' }] as const;
const upgradeId = 'upgrade-shop.0123456789ab';

/** A service that is locked, after step 7, and a Temporal that does not answer. */
async function startLocked() {
  const dir = await makeStateDir();
  const controller = await startController({ stateDir: dir.path });
  const { client, url } = controller;
  await client.adopt('shop', definitionWith(gateways));
  const { fence } = await client.acquire('shop', { upgradeId, gateways });
  await client.activate('shop', { fence, step: 7, transitions: [{ kind: 'close', servers: ['l1'] }] });
  const env = { CHANGEOVER_CONTROLLER_URL: url, TEMPORAL_ADDRESS: '127.0.0.1:1' };
  return {
    client,
    fence,
    unlock: (...options: string[]) => runCaptured(['unlock', 'shop', ...options], env),
    async [Symbol.asyncDispose]() {
      await controller.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

// The client takes its time until it gives Temporal up.
describe.concurrent('changeover unlock', { timeout: 60_000 }, () => {
  it('names the holder and releases nothing where nobody can say whether it still runs', async () => {
    await using up = await startLocked();
    const { exitCode, err } = await up.unlock();
    expect(exitCode).toBe(4);
    expect(err).toContain(`shop is locked by ${upgradeId} (fence ${up.fence}, since 20`);
    expect(err).toMatch(/Temporal does not answer[^]*--force/);
    expect((await up.client.status('shop')).lock).toMatchObject({ fence: up.fence });
  });

  it('releases the lock with --force, whatever step its holder came to', async () => {
    await using up = await startLocked();
    const freed = await up.unlock('--by', 'anna', '--force');
    expect(freed).toMatchObject({ exitCode: 0, err: '' });
    expect(freed.out).toContain(`Released by anna: shop was locked by ${upgradeId}`);
    expect((await up.client.status('shop')).lock).toBeNull();
    expect(await up.unlock()).toMatchObject({ exitCode: 0, out: 'shop is not locked.\n' });
  });

  it.each([
    ['runs', '01890000-1111-7222-8333-0123456789ab', 'RUNNING', 'running'],
    ['goes on as a new run', '01890000-1111-7222-8333-0123456789ab', 'CONTINUED_AS_NEW', 'running'],
    ['was terminated', '01890000-1111-7222-8333-0123456789ab', 'TERMINATED', 'over'],
    ['was followed by another run', '01890000-1111-7222-8333-ba9876543210', 'RUNNING', 'over'],
  ])('sees that the holder %s', (_, firstRunId, status, expected) => {
    expect(stateOfHolder(upgradeId, { firstRunId, status })).toBe(expected);
  });
});
