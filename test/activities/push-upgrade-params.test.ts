import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, test } from 'vitest';
import { pushUpgradeParams, type PushUpgradeParamsInput } from '../../src/activities/push-upgrade-params.ts';
import type { PushResult } from '../../src/domain/upgrade/results.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';
import { InMemoryWorld } from '../support/in-memory-world.ts';

const plan = examplePlan();
const target = {
  server: 'blue-1',
  agent: 'http://127.0.0.1:25000',
  key: 'upgrade-1/blue-1/2.0-a/7',
  package: { ...plan.candidates[0]!.packages[0]!, version: '2.0-a', os: 'linux' as const },
};

function setUp() {
  const world = new InMemoryWorld(plan);
  world.table = {
    ...world.table,
    servers: world.table.servers.map((server) => ({ ...server, ingress: 'closed' })),
  };
  const activity: (input: PushUpgradeParamsInput) => Promise<PushResult> = pushUpgradeParams(
    world.dependencies(),
  );
  const input = { service: plan.service, upgradeId: 'upgrade-1', fence: 1, step: 8, servers: [target] };
  return {
    world,
    agent: world.agents.server('blue-1'),
    push: () => new MockActivityEnvironment().run(activity, input),
  };
}

describe('upgrade parameters', () => {
  test('are pushed once to each agent, which is asked nothing before', async () => {
    const { world, agent, push } = setUp();
    await expect(push()).resolves.toEqual({ servers: [{ name: 'blue-1', version: '2.0-a' }] });
    expect(agent.upgrade).toMatchObject({ key: `${target.key}/0`, state: 'done' });
    expect(world.calls.filter((call) => call === 'upgrade')).toHaveLength(1);
  });

  test('go by the number of tries that the agent knows, where an attempt made one that nobody heard of', async () => {
    const { agent, push } = setUp();
    await push();
    agent.over.add(`${target.key}/0`);
    agent.upgrade = { ...agent.upgrade!, key: `${target.key}/1` };
    await expect(push()).resolves.toEqual({ servers: [{ name: 'blue-1', version: '2.0-a' }] });
    expect(agent.upgrade).toMatchObject({ key: `${target.key}/1`, state: 'done' });
  });

  test('that came too late change nothing (invariant 4)', async () => {
    const { agent, push } = setUp();
    await push();
    agent.over.add(`${target.key}/0`);
    agent.upgrade = { ...agent.upgrade!, key: 'upgrade-2/blue-1/1.4/3/0' };
    await expect(push()).rejects.toMatchObject({ type: 'Fenced' });
    expect(agent.upgrade.key).toBe('upgrade-2/blue-1/1.4/3/0');
  });
});
