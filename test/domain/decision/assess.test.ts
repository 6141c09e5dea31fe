import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assess } from '../../../src/domain/decision/assess.ts';
import type { ArmEvidence, DecisionRule, Verdict } from '../../../src/domain/decision/decision.ts';

const RULE: DecisionRule = {
  rule: 'max-efficacy',
  volume: 'successes',
  minSamples: 200,
  beatBaseline: false,
};
const BEAT: DecisionRule = { ...RULE, beatBaseline: true };
const AMOUNT: DecisionRule = { ...RULE, volume: 'amount' };

function base(volume: number, allocated: number): ArmEvidence {
  return { version: '1.4', role: 'baseline', volume, allocated };
}
function arm(version: string, volume: number, allocated: number): ArmEvidence {
  return { version, role: 'candidate', volume, allocated };
}
function pulled(version: string): ArmEvidence {
  return { ...arm(version, 900, 1000), pulled: 'errors 12 %' };
}

interface Row {
  readonly state: string;
  readonly rule?: DecisionRule;
  readonly at?: 'during' | 'end';
  readonly arms: readonly ArmEvidence[];
  readonly verdict: Partial<Record<'kind' | 'reason' | 'winner', string>>;
  readonly sentence: string;
}

const ROWS: readonly Row[] = [
  {
    state: 'while the trial runs',
    at: 'during',
    arms: [base(0, 0), arm('2.0-a', 8, 10), arm('2.0-b', 0, 0)],
    verdict: { kind: 'collecting' },
    sentence:
      'The trial is collecting. 1.4 (baseline): nothing allocated; 2.0-a: 8 successes of 10 allocated = 80.0 %; 2.0-b: nothing allocated.',
  },
  {
    state: 'while the trial runs and all candidates are pulled',
    at: 'during',
    arms: [base(10, 100), pulled('2.0-a'), pulled('2.0-b')],
    verdict: { kind: 'pulled' },
    sentence:
      'No candidate is left. 1.4 (baseline): 10 successes of 100 allocated = 10.0 %; 2.0-a: 900 successes of 1,000 allocated = 90.0 % (pulled: errors 12 %); 2.0-b: 900 successes of 1,000 allocated = 90.0 % (pulled: errors 12 %).',
  },
  {
    state: 'at the end with all candidates pulled',
    arms: [base(10, 100), pulled('2.0-a')],
    verdict: { kind: 'pulled' },
    sentence:
      'No candidate is left. 1.4 (baseline): 10 successes of 100 allocated = 10.0 %; 2.0-a: 900 successes of 1,000 allocated = 90.0 % (pulled: errors 12 %).',
  },
  {
    state: 'at the end with an arm without traffic',
    arms: [arm('2.0-a', 800, 1000), arm('2.0-b', 0, 0)],
    verdict: { kind: 'inconclusive', reason: 'noData' },
    sentence:
      'No data: 2.0-b got no allocated traffic. 2.0-a: 800 successes of 1,000 allocated = 80.0 %; 2.0-b: nothing allocated.',
  },
  {
    state: 'at the end without numbers of a baseline that has to be beaten',
    rule: BEAT,
    arms: [arm('2.0-a', 800, 1000)],
    verdict: { kind: 'inconclusive', reason: 'noData' },
    sentence:
      'No data: candidates have to beat the baseline, and there are no numbers of it. 2.0-a: 800 successes of 1,000 allocated = 80.0 %.',
  },
  {
    state: 'at the end with too few samples of a candidate',
    arms: [arm('2.0-a', 800, 1000), arm('2.0-b', 1, 199)],
    verdict: { kind: 'inconclusive', reason: 'tooFewSamples' },
    sentence:
      'Too few samples: each version needs 200 allocated requests; 2.0-b lacks 1. 2.0-a: 800 successes of 1,000 allocated = 80.0 %; 2.0-b: 1 success of 199 allocated = 0.5 %.',
  },
  {
    state: 'at the end with too few samples of a baseline that has to be beaten',
    rule: BEAT,
    arms: [base(1, 2), arm('2.0-a', 800, 1000)],
    verdict: { kind: 'inconclusive', reason: 'tooFewSamples' },
    sentence:
      'Too few samples: each version needs 200 allocated requests; 1.4 lacks 198. 1.4 (baseline): 1 success of 2 allocated = 50.0 %; 2.0-a: 800 successes of 1,000 allocated = 80.0 %.',
  },
  {
    state: 'at the end with a tie',
    arms: [arm('2.0-a', 100, 300), arm('2.0-b', 200, 600)],
    verdict: { kind: 'inconclusive', reason: 'tie' },
    sentence:
      'A tie: 2.0-a and 2.0-b have the same, greatest efficacy. 2.0-a: 100 successes of 300 allocated = 33.3 %; 2.0-b: 200 successes of 600 allocated = 33.3 %.',
  },
  {
    state: 'at the end when the baseline is better than all',
    rule: BEAT,
    arms: [base(500, 1000), arm('2.0-a', 300, 1000), arm('2.0-b', 300, 1000)],
    verdict: { kind: 'keepBaseline' },
    sentence:
      'No candidate beats the baseline 1.4; the best is 2.0-a and 2.0-b. 1.4 (baseline): 500 successes of 1,000 allocated = 50.0 %; 2.0-a: 300 successes of 1,000 allocated = 30.0 %; 2.0-b: 300 successes of 1,000 allocated = 30.0 %.',
  },
  {
    state: 'at the end when the best candidate only equals the baseline',
    rule: BEAT,
    arms: [base(500, 1000), arm('2.0-a', 300, 600)],
    verdict: { kind: 'keepBaseline' },
    sentence:
      'No candidate beats the baseline 1.4; the best is 2.0-a. 1.4 (baseline): 500 successes of 1,000 allocated = 50.0 %; 2.0-a: 300 successes of 600 allocated = 50.0 %.',
  },
  {
    state: 'at the end with a greatest efficacy',
    arms: [base(0, 0), arm('2.0-a', 812, 1010), arm('2.0-b', 301, 1004)],
    verdict: { kind: 'winner', winner: '2.0-a' },
    sentence:
      '2.0-a wins by the greatest efficacy. 1.4 (baseline): nothing allocated; 2.0-a: 812 successes of 1,010 allocated = 80.4 %; 2.0-b: 301 successes of 1,004 allocated = 30.0 %.',
  },
  {
    state: 'at the end when a pulled candidate had the greatest efficacy',
    arms: [pulled('2.0-a'), arm('2.0-b', 301, 1004)],
    verdict: { kind: 'winner', winner: '2.0-b' },
    sentence:
      '2.0-b wins: no other version competes. 2.0-a: 900 successes of 1,000 allocated = 90.0 % (pulled: errors 12 %); 2.0-b: 301 successes of 1,004 allocated = 30.0 %.',
  },
  {
    state: 'at the end with one candidate that beats the baseline',
    rule: BEAT,
    arms: [base(500, 1000), arm('2.0-a', 501, 1000)],
    verdict: { kind: 'winner', winner: '2.0-a' },
    sentence:
      '2.0-a wins by the greatest efficacy. 1.4 (baseline): 500 successes of 1,000 allocated = 50.0 %; 2.0-a: 501 successes of 1,000 allocated = 50.1 %.',
  },
  {
    state: 'at the end with efficacies that differ late',
    arms: [arm('2.0-a', 80_001, 100_000), arm('2.0-b', 80_002, 100_000)],
    verdict: { kind: 'winner', winner: '2.0-b' },
    sentence:
      '2.0-b wins by the greatest efficacy. 2.0-a: 80,001 successes of 100,000 allocated = 80.001 %; 2.0-b: 80,002 successes of 100,000 allocated = 80.002 %.',
  },
  {
    state: 'at the end with amounts',
    rule: AMOUNT,
    arms: [arm('2.0-a', 12_345.5, 1010), arm('2.0-b', 9_000, 1000)],
    verdict: { kind: 'winner', winner: '2.0-a' },
    sentence:
      '2.0-a wins by the greatest efficacy. 2.0-a: 12,345.50 over 1,010 allocated = 12.22 per request; 2.0-b: 9,000.00 over 1,000 allocated = 9.00 per request.',
  },
  {
    state: 'at the end with amounts that are equal but for floating point',
    rule: AMOUNT,
    arms: [arm('2.0-a', 0.1 + 0.2, 300), arm('2.0-b', 0.3, 300)],
    verdict: { kind: 'inconclusive', reason: 'tie' },
    sentence:
      'A tie: 2.0-a and 2.0-b have the same, greatest efficacy. 2.0-a: 0.30 over 300 allocated = 0.00 per request; 2.0-b: 0.30 over 300 allocated = 0.00 per request.',
  },
];

describe('max-efficacy', () => {
  test.each(ROWS)('$state: $verdict.kind', ({ rule = RULE, arms, at = 'end', verdict, sentence }) => {
    expect(assess(rule, arms, at)).toMatchObject({ ...verdict, sentence });
  });

  test('has no efficacy where nothing was allocated: no data is never 0', () => {
    const { arms } = assess(RULE, [arm('2.0-a', 0, 0), arm('2.0-b', 0, 10)], 'end');
    expect(arms.map((each) => each.efficacy)).toEqual([null, 0]);
  });
});

const evidence = fc
  .uniqueArray(
    fc.record({
      version: fc.constantFrom('2.0-a', '2.0-b', '2.0-c', '2.0-d'),
      volume: fc.nat(5000),
      allocated: fc.nat(5000),
      isPulled: fc.boolean(),
    }),
    { selector: (each) => each.version, minLength: 1 },
  )
  .map((arms) =>
    arms.map(({ isPulled, ...each }): ArmEvidence => ({
      ...each,
      role: 'candidate',
      ...(isPulled ? { pulled: 'errors' } : {}),
    })),
  );
const withBaseline = fc
  .tuple(evidence, fc.nat(5000), fc.nat(5000))
  .map(([arms, volume, allocated]) => [base(volume, allocated), ...arms]);

function core({ kind, ...verdict }: Verdict): unknown {
  return { kind, winner: 'winner' in verdict ? verdict.winner : null };
}

describe('any evidence', () => {
  test('leads to the same verdict in any order of the arms', () => {
    fc.assert(
      fc.property(withBaseline, fc.boolean(), (arms, beatBaseline) => {
        const rule = { ...RULE, beatBaseline };
        expect(core(assess(rule, [...arms].reverse(), 'end'))).toEqual(core(assess(rule, arms, 'end')));
      }),
    );
  });

  test('has only a winner that is not pulled, has its samples, and that nobody beats', () => {
    fc.assert(
      fc.property(withBaseline, fc.boolean(), (arms, beatBaseline) => {
        const verdict = assess({ ...RULE, beatBaseline }, arms, 'end');
        if (verdict.kind !== 'winner') return;
        const winner = arms.find((each) => each.version === verdict.winner);
        if (winner === undefined) throw new Error('the winner is none of the arms');
        expect(winner.pulled).toBeUndefined();
        expect(winner.allocated).toBeGreaterThanOrEqual(RULE.minSamples);
        const others = arms.filter(
          (each) =>
            each !== winner && each.pulled === undefined && (beatBaseline || each.role === 'candidate'),
        );
        for (const other of others) {
          expect(winner.volume * other.allocated).toBeGreaterThan(other.volume * winner.allocated);
        }
      }),
    );
  });

  test('decides nothing during the trial', () => {
    fc.assert(
      fc.property(withBaseline, (arms) => {
        expect(['collecting', 'pulled']).toContain(assess(RULE, arms, 'during').kind);
      }),
    );
  });

  test('is the same verdict when volumes and samples grow alike', () => {
    fc.assert(
      fc.property(withBaseline, fc.integer({ min: 2, max: 50 }), (arms, factor) => {
        const rule = { ...BEAT, minSamples: 1 };
        const grown = arms.map((each) => ({
          ...each,
          volume: each.volume * factor,
          allocated: each.allocated * factor,
        }));
        expect(core(assess(rule, grown, 'end'))).toEqual(core(assess(rule, arms, 'end')));
      }),
    );
  });
});
