import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UpgradeReport } from '../../src/domain/report/report.ts';
import { runCaptured, type CliRun } from '../cli/captured-context.ts';
import { examplePlanInput } from '../domain/upgrade/example-plan.ts';
import { startTemporalBench, type RunningUpgrade, type TemporalBench } from './temporal-bench.ts';

let bench: TemporalBench;
let folder: string;
beforeAll(async () => {
  bench = await startTemporalBench();
  folder = await mkdtemp(join(tmpdir(), 'changeover-cli-'));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const QUICK = examplePlanInput({
  trial: { stages: [{ share: '100%', length: '1s' }], readEvery: '250ms', minSamples: 10 },
});

function cli(...argv: string[]): Promise<CliRun> {
  return runCaptured(argv, {
    TEMPORAL_ADDRESS: bench.temporal.address,
    TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
    CHANGEOVER_CONTROLLER_URL: 'http://127.0.0.1:1',
  });
}

function on(run: RunningUpgrade, command: string, ...argv: string[]): Promise<CliRun> {
  return cli(command, '--workflow-id', run.handle.workflowId, ...argv);
}

async function planFile(plan: unknown): Promise<string> {
  const file = join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  return file;
}

describe('an operator at the command line', () => {
  test('looks at a trial, approves its winner, watches it to the end and reads the report', async () => {
    await using run = await bench.upgrade(QUICK);
    await run.until(({ phase }) => phase === 'awaitingApproval');

    const status = await on(run, 'status');
    expect(status).toMatchObject({ exitCode: 0, err: '' });
    expect(status.out).toContain('wealth: awaitingApproval');
    expect(status.out).toContain('changeover approve wealth');
    expect(JSON.parse((await on(run, 'status', '--json')).out)).toMatchObject({
      status: { phase: 'awaitingApproval', verdict: { kind: 'winner', winner: '2.0-a' } },
      efficacy: { volume: 'successes' },
      gateways: null,
    });

    const wrong = await on(run, 'approve', '--candidate', '2.0-c');
    expect(wrong).toMatchObject({ exitCode: 3, err: expect.stringContaining('these can: 2.0-a, 2.0-b') });
    const approved = await on(run, 'approve', '--comment', 'agreed');
    expect(approved).toMatchObject({ exitCode: 0, out: expect.stringMatching(/Approved 2\.0-a.*\(anna,/) });

    const watched = await on(run, 'watch');
    expect(watched.exitCode).toBe(0);
    expect(watched.out).toMatch(/Approved 2\.0-a on:.*\(anna\)/);
    expect(watched.out).toMatch(/Ended: promoted/);

    const late = await on(run, 'abort', '--reason', 'too late');
    expect(late).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining('abort is not possible in phase done'),
    });

    const report = JSON.parse((await on(run, 'report', '--json')).out) as UpgradeReport;
    expect(report).toMatchObject({
      outcome: 'promoted',
      decision: { approval: { by: 'anna', comment: 'agreed' } },
    });
    expect((await on(run, 'report')).out).toContain('# Upgrade of wealth: promoted');
  });

  test('pauses, is told that it is paused, resumes, aborts, and gets 1 for a rollback', async () => {
    await using run = await bench.upgrade(QUICK);
    await run.until(({ phase }) => phase === 'awaitingApproval');
    expect(await on(run, 'resume')).toMatchObject({ exitCode: 3, err: 'The upgrade is not paused.\n' });
    expect(await on(run, 'pause', '--by', 'ben')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^Paused \(ben/),
    });
    expect(await on(run, 'pause')).toMatchObject({
      exitCode: 3,
      err: 'The upgrade is paused already, by ben.\n',
    });
    expect((await on(run, 'status')).out).toContain('paused by ben');
    expect(await on(run, 'resume')).toMatchObject({ exitCode: 0 });
    expect(await on(run, 'extend', '--length', '1s')).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining('1s'),
    });
    expect(await on(run, 'skip-server', '--server', 'blue-9')).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining('has no server blue-9. Did you mean'),
    });
    expect(await on(run, 'abort', '--reason', 'market opens')).toMatchObject({ exitCode: 0 });
    const watched = await on(run, 'watch');
    expect(watched).toMatchObject({ exitCode: 1, out: expect.stringContaining('Ended: rolledBack') });
    expect(await on(run, 'status')).toMatchObject({
      exitCode: 1,
      out: expect.stringContaining('done: rolledBack'),
    });
  });

  test('has to name a candidate where the trial is inconclusive', async () => {
    await using run = await bench.upgrade({ ...QUICK, trial: { ...QUICK.trial, minSamples: 1_000_000 } });
    await run.until(({ phase }) => phase === 'awaitingDecision');
    const nameless = await on(run, 'approve');
    expect(nameless).toMatchObject({ exitCode: 3, err: expect.stringContaining('Too few samples') });
    expect(nameless.err).toContain('Name one with --candidate: 2.0-a, 2.0-b.');
    expect(await on(run, 'approve', '--candidate', '2.0-b')).toMatchObject({ exitCode: 0 });
    expect(await run.handle.result()).toMatchObject({ outcome: 'promoted', winner: '2.0-b' });
  });

  test('declares a gateway gone, once it is sure which one, and is told what came of it', async () => {
    const gateways = ['edge-1', 'edge-2'].map((name) => ({ name, admin: `http://${name}:7080` }));
    await using run = await bench.upgrade({ ...QUICK, gateways, approval: 'automatic' }, (world) => {
      world.isDeaf = (gateway, { split }) => gateway === 'edge-2' && split !== null;
    });
    await run.until(({ gateways: seen }) => seen?.laggards.includes('edge-2') === true);
    const exclude = (gateway: string) =>
      on(run, 'exclude-gateway', '--gateway', gateway, '--reason', 'burnt');

    expect(await exclude('edge-9')).toMatchObject({
      exitCode: 3,
      err: 'The upgrade of wealth has no gateway edge-9; it has edge-1, edge-2.\n',
    });
    expect(await exclude('edge-1')).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining('edge-1 is not gone'),
    });
    expect(await exclude('edge-2')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^Excluded gateway edge-2: no step waits for it until it is back \(anna, /),
    });
    expect(await run.handle.result()).toMatchObject({
      outcome: 'promoted',
      exclusions: [
        { gateway: 'edge-1', stands: 'refused' },
        { gateway: 'edge-2', by: 'anna', reason: 'burnt' },
      ],
    });
    expect(await exclude('edge-2')).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining('phase done'),
    });
  });

  test('starts an upgrade once, and is told where it is and that there is no worker yet', async () => {
    const file = await planFile({ ...QUICK, service: 'loans' });
    // A second try of this test must not meet the run of the first.
    const { workflow } = bench.temporal.client;
    await workflow
      .getHandle('upgrade-loans')
      .terminate()
      .catch(() => undefined);
    const started = await cli('start', file);
    expect(started).toMatchObject({ exitCode: 0, err: '' });
    expect(started.out).toMatch(
      /workflow id {2}upgrade-loans\n.*run id {7}[\w-]+\n.*http:\/\/127\.0\.0\.1:8233\/namespaces\/default\/workflows\/upgrade-loans\//,
    );
    const again = await cli('start', file);
    expect(again).toMatchObject({
      exitCode: 3,
      err: expect.stringContaining('runs already (upgrade-loans)'),
    });
    const status = await cli('status', 'loans');
    expect(status).toMatchObject({
      exitCode: 4,
      err: expect.stringContaining('No worker answers for upgrade-loans'),
    });
    await bench.temporal.client.workflow.getHandle('upgrade-loans').terminate();
  });

  test('is told that there is no such upgrade', async () => {
    for (const argv of [['status'], ['watch'], ['report'], ['pause']]) {
      const { exitCode, err } = await cli(...argv, 'nothing');
      expect({ exitCode, err }).toEqual({
        exitCode: 3,
        err: expect.stringContaining('no upgrade upgrade-nothing'),
      });
    }
  });

  test('sees all problems of a plan that failed a run which was started elsewhere', async () => {
    await using run = await bench.upgrade({ ...QUICK, deployment: { 'static-home': 'blue' } });
    await run.handle.result().catch(() => undefined);
    for (const command of ['status', 'watch', 'report']) {
      const { exitCode, err } = await on(run, command);
      expect({ exitCode, err }).toEqual({
        exitCode: 1,
        err: expect.stringContaining(
          'candidates[1].mode held "floating-second"; it must have a deployment rule',
        ),
      });
    }
  });
});

describe('an auditor', () => {
  test('derives every verdict of a recorded upgrade from its numbers (invariant 8)', async () => {
    const { recordedSignals, recordedVerdicts } = await import('../../src/cli/recorded-decisions.ts');
    const { historyFromJSON } = await import('@temporalio/common/lib/proto-utils.js');
    const file = new URL(
      '../histories/awaits-the-approval-and-promotes-the-winner-everywhere-invariant-6-.json',
      import.meta.url,
    );
    const text = readFileSync(file, 'utf8');
    const verdicts = recordedVerdicts(historyFromJSON(JSON.parse(text)));
    expect(verdicts.map(({ agrees }) => agrees)).not.toContain(false);
    expect(verdicts.map(({ recorded }) => recorded.kind)).toContain('winner');
    expect(recordedSignals(historyFromJSON(JSON.parse(text)))).toMatchObject([
      { signal: 'approve', payload: { by: 'anna', comment: 'looks right' } },
    ]);
  });

  test('sees when a recorded verdict does not follow from its numbers', async () => {
    await using run = await bench.upgrade({ ...QUICK, approval: 'automatic' });
    await run.handle.result();
    const { recordedVerdicts } = await import('../../src/cli/recorded-decisions.ts');
    const history = await run.handle.fetchHistory();
    for (const event of history.events ?? []) {
      for (const payload of event.activityTaskCompletedEventAttributes?.result?.payloads ?? []) {
        const told = Buffer.from(payload.data ?? []).toString();
        payload.data = Buffer.from(told.replace('"winner":"2.0-a"', '"winner":"2.0-b"'));
      }
    }
    const disagreeing = recordedVerdicts(history).filter(({ agrees }) => !agrees);
    expect(disagreeing).toMatchObject([{ recorded: { winner: '2.0-b' }, derived: { winner: '2.0-a' } }]);
  });
});
