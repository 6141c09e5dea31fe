import { describe, expect, it, vi } from 'vitest';
import {
  countOf,
  definitionWith,
  makeStateDir,
  split,
  startController,
  trial,
} from './running-controller.ts';
import { startStubGateway } from './stub-gateway.ts';

const service = 'shop';
const eventually = { timeout: 15_000, interval: 10 };
const guardrails = { errorRate: { max: 0.05 } };
const releases = ['2.0-a', '2.0-b'];

async function startTrial() {
  const dir = await makeStateDir();
  const gateway = await startStubGateway();
  const open = () => startController({ stateDir: dir.path });
  let controller = await open();
  await controller.client.adopt(service, definitionWith([gateway.address]));
  const { fence } = await controller.client.acquire(service, {
    upgradeId: 'u1',
    gateways: [gateway.address],
  });
  await controller.client.activate(service, { fence, step: 1, transitions: [...trial] });
  await controller.client.publish(service);
  return {
    gateway,
    fence,
    get client() {
      return controller.client;
    },
    async restart() {
      await controller.close();
      controller = await open();
    },
    /** Cumulative counts of candidate 2.0-a at the gateway. */
    count: (succeeded: number, serverErrors: number, slow = 0) => {
      gateway.counts = [
        countOf({
          release: '2.0-a',
          cluster: 'left',
          server: 'l1',
          requests: succeeded + serverErrors,
          succeeded,
          serverErrors,
          slow,
        }),
      ];
    },
    pulls: async () => (await controller.client.traffic(service)).pulls,
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
      await dir[Symbol.asyncDispose]();
    },
  };
}

describe('guardrails at the controller', () => {
  it('pull a candidate by themselves, at once at the gateways, and say on which numbers (invariant 8)', async () => {
    await using up = await startTrial();
    await up.client.armGuardrails(service, { fence: up.fence, step: 2, releases, guardrails });
    up.count(70, 30);
    await vi.waitFor(() => expect(up.gateway.table?.split?.pulled).toEqual(['2.0-a']), eventually);
    expect(await up.pulls()).toMatchObject([
      {
        release: '2.0-a',
        reason: '30 of 100 requests failed, allowed are 5 %',
        tableVersion: up.gateway.table?.version,
      },
    ]);
  });

  it('count from the moment of arming, over restarts of gateway and controller', async () => {
    await using up = await startTrial();
    up.count(100, 900);
    await up.client.armGuardrails(service, { fence: up.fence, step: 2, releases, guardrails });
    up.count(130, 901);
    await up.restart();
    expect(await up.pulls()).toEqual([]);
    await up.gateway.restart();
    up.count(10, 0);
    expect(await up.pulls()).toEqual([]);
    // Since arming: 40 + 30 succeeded, 1 + 19 failed.
    up.count(40, 19);
    await vi.waitFor(async () => expect(await up.pulls()).toHaveLength(1), eventually);
    expect((await up.pulls())[0]?.reason).toContain('20 of 90 requests failed');
  });

  it('armed twice by the same step count from the first time (invariant 9)', async () => {
    await using up = await startTrial();
    const request = {
      fence: up.fence,
      step: 2,
      releases,
      guardrails: { errorRate: { max: 0.05, minRequests: 100 } },
    };
    await up.client.armGuardrails(service, request);
    up.count(50, 40);
    await up.client.armGuardrails(service, request);
    up.count(60, 41);
    await vi.waitFor(async () => expect(await up.pulls()).toHaveLength(1), eventually);
    expect((await up.pulls())[0]?.reason).toContain('41 of 101');
  });

  it('pull what is too slow', async () => {
    await using up = await startTrial();
    const slow = { slow: { maxShare: 0.1, minRequests: 20 } };
    await up.client.armGuardrails(service, { fence: up.fence, step: 2, releases, guardrails: slow });
    up.count(20, 0, 10);
    await vi.waitFor(() => expect(up.gateway.table?.split?.pulled).toEqual(['2.0-a']), eventually);
  });

  it('leave a pull in effect when the trial goes on with its next stage', async () => {
    await using up = await startTrial();
    await up.client.armGuardrails(service, { fence: up.fence, step: 2, releases, guardrails });
    await up.client.stage(service, {
      fence: up.fence,
      step: 3,
      transitions: [{ kind: 'split', split: { ...split, share: 1 } }],
    });
    up.count(0, 50);
    await vi.waitFor(async () => expect(await up.pulls()).toHaveLength(1), eventually);
    await up.client.activate(service, { fence: up.fence, step: 4 });
    const { active } = await up.client.status(service);
    expect(active.split).toMatchObject({ share: 1, pulled: ['2.0-a'] });
  });

  it('have the last word: who is to be tried again is not where a guardrail pulled it meanwhile', async () => {
    await using up = await startTrial();
    const { fence } = up;
    const again = [{ kind: 'restore', release: '2.0-a' }] as const;
    await up.client.activate(service, { fence, step: 2, transitions: [{ kind: 'pull', release: '2.0-a' }] });
    await up.client.activate(service, { fence, step: 3, transitions: again });
    expect((await up.client.status(service)).active.split?.pulled).toEqual([]);
    await up.client.armGuardrails(service, { fence, step: 4, releases, guardrails });
    up.count(0, 50);
    await vi.waitFor(async () => expect(await up.pulls()).toHaveLength(1), eventually);
    await up.client.activate(service, { fence, step: 5, transitions: again });
    expect((await up.client.status(service)).active.split?.pulled).toEqual(['2.0-a']);
  });

  it('are quiet once disarmed, and never pull the baseline', async () => {
    await using up = await startTrial();
    await up.client.armGuardrails(service, {
      fence: up.fence,
      step: 2,
      releases: ['1.4', ...releases],
      guardrails,
    });
    up.gateway.counts = [countOf({ release: '1.4', requests: 100, failed: 100 })];
    await up.client.traffic(service);
    await up.client.armGuardrails(service, { fence: up.fence, step: 3, releases: [], guardrails });
    up.count(0, 100);
    // Two fresh readings after the last change: the loop that judges has seen it as well by then, or sees the same.
    await up.restart();
    await up.client.traffic(service);
    expect(await up.pulls()).toEqual([]);
    expect((await up.client.status(service)).active.split?.pulled).toEqual([]);
  });

  it('forget pulls of the upgrade before', async () => {
    await using up = await startTrial();
    await up.client.armGuardrails(service, { fence: up.fence, step: 2, releases, guardrails });
    up.count(0, 50);
    await vi.waitFor(async () => expect(await up.pulls()).toHaveLength(1), eventually);
    await up.client.release(service, { fence: up.fence, step: 3 });
    expect(await up.pulls()).toHaveLength(1);
    await up.client.acquire(service, { upgradeId: 'u2', gateways: [up.gateway.address] });
    expect(await up.pulls()).toEqual([]);
  });
});
