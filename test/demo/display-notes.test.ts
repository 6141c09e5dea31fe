import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { frame } from '../../demo/display/frame.ts';
import { createLineDisplay } from '../../demo/display/line-display.ts';
import type { Snapshot } from '../../demo/snapshot.ts';
import { judge } from '../../src/domain/decision/judge.ts';
import { stateOfTotals } from '../../src/domain/decision/rule-reading.ts';
import { ruleSpecOf } from '../../src/domain/decision/spec-of.ts';
import { initialState } from '../../src/domain/upgrade/state.ts';
import { efficacyOf, statusOf } from '../../src/domain/upgrade/status.ts';
import { examplePlan } from '../domain/upgrade/example-plan.ts';

const plan = examplePlan();
const START = initialState(plan, { upgradeId: 'upgrade-wealth.1', at: '2026-03-01T10:00:00.000Z' });
const spec = ruleSpecOf(plan);
const TOTALS = [
  { version: '2.0-a', role: 'candidate', allocated: 1000, volume: 800 },
  { version: '2.0-b', role: 'candidate', allocated: 1000, volume: 150 },
] as const;

function snapshot(isOver: boolean): Snapshot {
  const verdict = judge(spec, stateOfTotals(spec, TOTALS, 60_000), isOver);
  const trial = { ...START.trial, readings: isOver ? 2 : 1, arms: TOTALS, verdict };
  const state = { ...START, phase: 'trial' as const, trial };
  return {
    ...{ status: statusOf(plan, state), efficacy: efficacyOf(plan, state) },
    ...{ timeline: state.timeline, draining: null, load: null },
  };
}

describe('what the demo shows of a verdict', () => {
  const NOTE = 'it promises no error rate.';

  test('is its sentence with its notes on a terminal', () => {
    const options = { paint: (_: unknown, text: string) => text, versions: ['1.4'], elapsedMs: 0 };
    const collecting = frame(snapshot(false), options);
    expect(collecting).toContain(NOTE);
    const over = frame(snapshot(true), options);
    expect(over).toContain('verdict   2.0-a wins by the greatest efficacy.');
    expect(over).toContain(NOTE);
  });

  test('is a line for each note in a pipe, once while it collects and once with the verdict', () => {
    const stream = new PassThrough();
    const display = createLineDisplay(stream);
    for (const isOver of [false, false, true]) display.show(snapshot(isOver));
    const told = String(stream.read());
    expect(told.split(NOTE)).toHaveLength(3);
  });
});
