import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PlanInput } from '../../src/domain/plan/schema.ts';
import { countOf, startController } from '../controller/running-controller.ts';
import { startStubGateway, type StubGateway } from '../controller/stub-gateway.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import { runCaptured } from './captured-context.ts';

const DECISION = {
  rule: 'anytime',
  unit: 'request',
  epsilon: '2%',
  expectedRate: '10%',
  deadline: '1h',
} as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'changeover-measured-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function planFile(change: Partial<PlanInput> = {}): Promise<string> {
  const file = join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(examplePlanInput({ decision: DECISION, ...change }, 1)));
  return file;
}

/** A flow controller that manages the plan's service, and its one gateway. */
async function startManaged() {
  const gateway = await startStubGateway('edge', 'wealth');
  const controller = await startController({ stateDir: join(folder, 'controller') });
  const env = { CHANGEOVER_CONTROLLER_URL: controller.url };
  const file = await planFile({ gateways: [{ name: 'edge', admin: gateway.address.admin }] });
  expect(await runCaptured(['adopt', file], env)).toMatchObject({ exitCode: 0 });
  return {
    gateway,
    plan: (given: string, ...more: string[]) =>
      runCaptured(['plan', given, '--runs', '2', '--measure-traffic', '100ms', ...more], env),
    async [Symbol.asyncDispose]() {
      await controller.close();
      await gateway.stop();
    },
  };
}

/** Another request that counts after every reading. */
function countOnAndOn(gateway: StubGateway): void {
  let allocated = 0;
  const more = (): void => {
    allocated += 1;
    gateway.counts = [countOf({ requests: 2 * allocated, allocated })];
    void gateway.nextReading().then(more);
  };
  more();
}

describe('changeover plan --measure-traffic', () => {
  test('expects by the requests that the gateways count at present, before what the plan says', async () => {
    await using managed = await startManaged();
    countOnAndOn(managed.gateway);
    const file = await planFile({ decision: { ...DECISION, traffic: 7 } });
    const { exitCode, out } = await managed.plan(file);
    expect(exitCode).toBe(0);
    expect(out).toMatch(
      /\nAt present [\d.]+ requests per second that measure\.allocated counts come by edge over [\d.]+ m?s\.\n/,
    );
    expect(out).toMatch(/, with [\d.]+ requests per second \(as measured\):\n {2}verdict in/);
    const { decision } = JSON.parse((await managed.plan(file, '--json')).out) as {
      decision: { expected: object; measured: { perSecond: number; overMs: number } };
    };
    const { perSecond, overMs } = decision.measured;
    expect(overMs).toBeGreaterThanOrEqual(99);
    // A whole number of requests, at least the one after the first reading.
    expect((perSecond * overMs) / 1000).toBeCloseTo(Math.round((perSecond * overMs) / 1000));
    expect(perSecond).toBeGreaterThan(0);
    expect(decision).toMatchObject({
      measured: { gateways: ['edge'] },
      expected: { trafficPerSecond: perSecond, trafficFrom: 'gateways' },
    });
  });

  test('asks nobody where --traffic says it', async () => {
    const env = { CHANGEOVER_CONTROLLER_URL: 'http://127.0.0.1:1' };
    const args = ['plan', await planFile(), '--runs', '2', '--measure-traffic', '1h', '--traffic', '30'];
    const { out } = await runCaptured(args, env);
    expect(out).toContain('with 30 requests per second (--traffic):');
    expect(out).not.toContain('present');
  });

  test('of accounts says what requests bound, and goes by what the plan says', async () => {
    await using managed = await startManaged();
    countOnAndOn(managed.gateway);
    const byAccount = { ...DECISION, unit: 'account' } as const;
    const { out } = await managed.plan(await planFile({ decision: { ...byAccount, traffic: 100_000 } }));
    expect(out).toMatch(
      /At present [\d.]+ requests per second [^\n]* is not known before a trial counts accounts: at most that many accounts enter it\. decision\.traffic, 100000 accounts per second, is more than that/,
    );
    expect(out).toContain('with 100000 accounts per second (decision.traffic):');
    const unsaid = await managed.plan(await planFile({ decision: byAccount }));
    expect(unsaid.out).toMatch(
      /at most that many accounts enter it\.\nHow long a verdict takes is not known without decision\.traffic or --traffic\.\n$/,
    );
  });

  const UNKNOWN = /\n(The present traffic is not known[^\n]*)\n/;

  test.each<[string, Partial<PlanInput>, RegExp]>([
    ['nothing comes', {}, /no request that measure\.allocated counts came by edge over/],
    ['it has no such service', { service: 'pricing' }, /does not manage a service pricing/],
    [
      'gateways count other requests',
      { measure: { ...examplePlanInput().measure, allocated: { path: '/visit' } } },
      /measure\.allocated \(any method \/visit\), the gateways count other requests: any request\.$/,
    ],
    [
      'units are counted elsewhere',
      {
        measure: {
          ...examplePlanInput().measure,
          source: { from: 'http', url: 'https://metrics.example.com/counts' },
        },
      },
      /read by measure\.source \(http\), not at the gateways\.$/,
    ],
  ])('says in one line that it is not known where %s', async (_what, change, said) => {
    await using managed = await startManaged();
    const { exitCode, out, err } = await managed.plan(
      await planFile({ decision: { ...DECISION, traffic: 7 }, ...change }),
    );
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    expect(UNKNOWN.exec(out)?.[1]).toMatch(said);
    expect(out).toContain('with 7 requests per second (decision.traffic):');
  });

  test('and where a gateway, or the flow controller, does not answer', async () => {
    const managed = await startManaged();
    await managed.gateway.stop();
    const file = await planFile();
    const silent = await managed.plan(file);
    expect(UNKNOWN.exec(silent.out)?.[1]).toMatch(/The flow controller could not read edge\.$/);
    await managed[Symbol.asyncDispose]();
    const gone = await managed.plan(file);
    expect(gone.exitCode).toBe(0);
    expect(UNKNOWN.exec(gone.out)?.[1]).toMatch(/No usable answer from the flow controller .*URL/);
    expect(gone.out).toMatch(
      /wealth from 1\.4 to the best of[^]*is not known without decision\.traffic, --measure-traffic or --traffic\.\n$/,
    );
  });
});
