import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { frame } from '../../demo/display/frame.ts';
import { createLineDisplay } from '../../demo/display/line-display.ts';
import type { Snapshot } from '../../demo/snapshot.ts';
import { EVERYONE, type Block } from '../../src/domain/decision/block.ts';
import { readBlocks, type RuleProgress } from '../../src/domain/decision/rule-reading.ts';
import { beginRule } from '../../src/domain/decision/rule.ts';
import { ruleSpecOf } from '../../src/domain/decision/spec-of.ts';
import { completeStep } from '../../src/domain/upgrade/complete-step.ts';
import { initialState, type UpgradeState } from '../../src/domain/upgrade/state.ts';
import { efficacyOf, statusOf } from '../../src/domain/upgrade/status.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';

const plan = examplePlan({
  trial: { stages: [{ share: '90%', length: '1h' }], readEvery: '1s', baselineShare: '10%' },
  decision: { rule: 'anytime', epsilon: '2%', expectedRate: '20%', unit: 'request' },
});
const VERSIONS = ['1.4', '2.0-a', '2.0-b'];

/** Of a trial in which 27 of 100 buy from 2.0-a and 20 of the others: a look after each reading, the last with its verdict. */
function looks(): Snapshot[] {
  const spec = ruleSpecOf(plan);
  const at = new Date().toISOString();
  const arms = VERSIONS.map((version) => ({
    ...{ version, role: version === '1.4' ? ('baseline' as const) : ('candidate' as const) },
    ...{ allocated: 0, volume: 0 },
  }));
  let progress: RuleProgress = { state: beginRule(spec), after: 0 };
  let state: UpgradeState = { ...initialState(plan, { upgradeId: 'u', at }), phase: 'trial' };
  const seen: Snapshot[] = [];
  for (let number = 1; number <= 100 && !state.trial.ended; number += 1) {
    const split = (sum: number) => ({ n: 100, sum });
    const block: Block & { number: number } = {
      ...{ number, fromMs: (number - 1) * 1000, toMs: number * 1000 },
      groups: { [EVERYONE]: { '1.4': split(20), '2.0-a': split(27), '2.0-b': split(20) } },
    };
    const next = readBlocks(spec, progress, { blocks: [block], pulled: {}, isOver: false });
    progress = next.progress;
    const step = { kind: 'collectMetrics', purpose: 'trial', waitMs: 1000, final: false } as const;
    const result = {
      ...{ at, elapsedMs: 1000, totals: {}, arms, verdict: next.verdict, pulls: [] },
      decision: { ...progress, blocks: [block] },
    };
    state = completeStep(
      plan,
      state,
      { ...step, reading: number },
      { kind: 'collectMetrics', result },
      { at, overtaken: false },
    );
    const { timeline } = state;
    const status = statusOf(plan, state);
    seen.push({ status, efficacy: efficacyOf(plan, state), timeline, load: null, draining: null });
  }
  return seen;
}

test('the live display fills a bar of evidence with every reading until it is enough', () => {
  const filled = looks().map((look) => {
    const shown = frame(look, { paint: (_style, plain) => plain, versions: VERSIONS, elapsedMs: 0 });
    const [, bar = '', rest = ''] =
      /evidence {2}(▮*)(·*) [\d,.]+ of [\d,.]+ needed: 2\.0-a is better than 1\.4\n/.exec(shown) ?? [];
    expect(bar.length + rest.length, shown).toBe(24);
    return bar.length;
  });
  expect(filled.length).toBeGreaterThan(3);
  expect(filled).toEqual(filled.toSorted((a, b) => a - b));
  expect(filled[0]).toBeLessThan(8);
  expect(filled.at(-1)).toBe(24);
});

test('in a pipe each reading is a line with its evidence, and the verdict is told in its own sentence', async () => {
  const out = new PassThrough();
  const display = createLineDisplay(out);
  const seen = looks();
  for (const look of seen) display.show(look);
  out.end();
  const lines = (await text(out)).trimEnd().split('\n');
  const collecting = seen.slice(0, -1);
  const readings = lines.filter((line) => / {2}reading \d/.test(line));
  expect(readings.map((line) => /reading (\d+), stage 1 of 1: /.exec(line)?.[1])).toEqual(
    collecting.map((_, i) => String(i + 1)),
  );
  for (const [i, line] of readings.entries()) expect(line).toContain(seen[i]?.status.verdict?.sentence);
  const { verdict } = seen.at(-1)!.status;
  expect(verdict).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  const last = lines.findLast((line) => !/ {2}note: /.test(line));
  expect(last).toMatch(/^ +0:\d\d\.\d {2}trial: 2\.0-a wins/);
  expect(last).toContain(verdict?.sentence);
});
