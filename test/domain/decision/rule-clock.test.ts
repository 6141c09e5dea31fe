import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { beginRule } from '../../../src/domain/decision/rule.ts';
import {
  readBlocks,
  type BlockReading,
  type RuleProgress,
} from '../../../src/domain/decision/rule-reading.ts';
import { effectGrid, type AnytimeSpec } from '../../../src/domain/decision/rule-spec.ts';
import type { RuleVerdict } from '../../../src/domain/decision/rule-verdict.ts';

const HOUR = 3_600_000;
const SPEC: AnytimeSpec = {
  rule: 'anytime',
  arms: [
    { version: '2.0-a', role: 'candidate' },
    { version: '2.0-b', role: 'candidate' },
  ],
  ...{ volume: 'successes', comparison: 'random', unit: 'account', delta: 0.05, epsilon: 0.01 },
  ...{ grid: effectGrid(0.01, 0.1), expectedRate: 0.1 },
};

function block(number: number, fromMs: number, toMs: number): Block & { number: number } {
  const groups = { [EVERYONE]: { '2.0-a': { n: 1000, sum: 200 }, '2.0-b': { n: 1000, sum: 100 } } };
  return { number, fromMs, toMs, groups };
}

/** Verdicts of readings that follow each other. */
function read(spec: AnytimeSpec, readings: readonly Partial<BlockReading>[]): readonly RuleVerdict[] {
  let progress: RuleProgress = { state: beginRule(spec), after: 0 };
  return readings.map((reading) => {
    const next = readBlocks(spec, progress, { blocks: [], pulled: {}, isOver: false, ...reading });
    progress = next.progress;
    return next.verdict;
  });
}

const kindsOf = (verdicts: readonly RuleVerdict[]): readonly string[] => verdicts.map(({ kind }) => kind);

describe('the clock of a rule', () => {
  test.each(['minDurationMs', 'everyFullMs'])(
    'is that of the trial where the blocks are behind it (%s)',
    (field) => {
      const spec = { ...SPEC, [field]: 2 * HOUR };
      const readings = [
        { blocks: [block(1, 0, 10)], clockMs: HOUR },
        { blocks: [block(2, 10, HOUR)], clockMs: 2 * HOUR, isOver: true },
      ];
      expect(kindsOf(read(spec, readings))).toEqual(['collecting', 'winner']);
    },
  );

  test('goes on where nobody came: the end of a whole period is one all the same', () => {
    const spec = { ...SPEC, everyFullMs: 2 * HOUR };
    const readings = [
      { blocks: [block(1, 0, HOUR)], clockMs: HOUR },
      { clockMs: 2 * HOUR, isOver: true },
    ];
    expect(kindsOf(read(spec, readings))).toEqual(['collecting', 'winner']);
  });

  test('is that of the blocks after a pause, which stops the trial’s: periods are those of the customers', () => {
    const spec = { ...SPEC, everyFullMs: 24 * HOUR };
    const readings = [
      { blocks: [block(1, 0, HOUR)], clockMs: HOUR },
      { blocks: [block(2, HOUR, 23 * HOUR)], clockMs: 2 * HOUR },
      { blocks: [block(3, 23 * HOUR, 24 * HOUR)], clockMs: 3 * HOUR },
    ];
    expect(kindsOf(read(spec, readings))).toEqual(['collecting', 'collecting', 'winner']);
  });

  test('ends a period once, whoever tells it first', () => {
    const spec = { ...SPEC, everyFullMs: 2 * HOUR };
    const even = { n: 1000, sum: 100 };
    const alike = { ...block(1, 0, HOUR), groups: { [EVERYONE]: { '2.0-a': even, '2.0-b': even } } };
    const readings = [
      { blocks: [alike], clockMs: 2 * HOUR },
      { blocks: [block(2, HOUR, 2 * HOUR)], clockMs: 2.5 * HOUR },
      { blocks: [block(3, 2 * HOUR, 2.5 * HOUR)], clockMs: 3 * HOUR },
      { clockMs: 4 * HOUR },
    ];
    expect(kindsOf(read(spec, readings))).toEqual(['collecting', 'collecting', 'collecting', 'winner']);
  });
});
