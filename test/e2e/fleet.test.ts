import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFleet, type Fleet } from '../../demo/fleet/fleet.ts';
import type { FleetProcess } from '../../demo/fleet/fleet-process.ts';
import { FLEET_MARK } from '../../demo/fleet/work-folder.ts';
import { STATIC_HOME } from '../../demo/packages.ts';
import { processesWithEnv } from '../../src/agent/os-process.ts';

/** The harness itself: every process can be killed and started again, and is then what it was. */
describe('a fleet of real processes', () => {
  let fleet: Fleet;

  beforeAll(async () => {
    fleet = await createFleet({ clusters: { main: 1, blue: 1 }, candidates: [STATIC_HOME] });
    await fleet.adopt();
  });
  afterAll(async () => {
    await fleet.close();
    expect(processesWithEnv(FLEET_MARK, fleet.folder)).toEqual([]);
  });

  async function homePage(): Promise<string | null> {
    const answer = await fetch(fleet.gateway.url, { headers: { 'x-account': '100001' } });
    await answer.text();
    return answer.headers.get('x-version');
  }

  it('serves the baseline through its gateway', async () => {
    expect(await homePage()).toBe('1.4');
  });

  it.each<[string, () => FleetProcess]>([
    ['worker', () => fleet.worker],
    ['controller', () => fleet.controller],
    ['gateway', () => fleet.gateway],
    ['agent', () => fleet.server('blue-1').agent],
    ['Temporal server', () => fleet.temporal],
  ])('has its %s back after a kill, ready and with what it knew', async (_name, processOf) => {
    const target = processOf();
    const before = target.pid;
    await target.kill('SIGKILL');
    expect(target.running).toBe(false);
    await target.restart();
    expect(target.running).toBe(true);
    expect(target.pid).not.toBe(before);
    await fleet.gateway.waitForTraffic();
    expect(await homePage()).toBe('1.4');
    expect((await fleet.registry.status(fleet.service)).active.mainRelease).toBe('1.4');
    expect(await fleet.server('blue-1').status()).toMatchObject({ runningVersion: '1.4', healthy: true });
  });

  it('runs business on although an agent was killed, and stops it with the next agent', async () => {
    const server = fleet.server('main-1');
    await server.agent.kill('SIGKILL');
    expect(await homePage()).toBe('1.4');
    await server.agent.restart();
    await server.agent.stop();
    await expect(fetch(server.url)).rejects.toThrow();
  });
});
