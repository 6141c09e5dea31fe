import { describe, expect, test } from 'vitest';
import { EVERYONE, type Block } from '../../../src/domain/decision/block.ts';
import { judge } from '../../../src/domain/decision/judge.ts';
import { beginRule, observe, withPulled } from '../../../src/domain/decision/rule.ts';
import { stateOfTotals } from '../../../src/domain/decision/rule-reading.ts';
import {
  effectGrid,
  type AnytimeSpec,
  type Arm,
  type FixedSampleSpec,
  type MaxEfficacySpec,
  type RuleSpec,
} from '../../../src/domain/decision/rule-spec.ts';
import type { RuleVerdict } from '../../../src/domain/decision/rule-verdict.ts';
import { ANYTIME_BY_ACCOUNT, CANDIDATES, WITH_CONTROL } from './rule-specs.ts';

const ANYTIME: AnytimeSpec = {
  ...ANYTIME_BY_ACCOUNT,
  unit: 'request',
  epsilon: 0.02,
  grid: effectGrid(0.02, 0.2),
};
const FIXED: FixedSampleSpec = { ...ANYTIME, rule: 'fixed-sample', unitsPerArm: 2000 };
const GREATEST: MaxEfficacySpec = { ...ANYTIME, rule: 'max-efficacy', minSamples: 200 };

interface Row {
  readonly state: string;
  readonly spec?: RuleSpec;
  /** Successes per version of the 500 units that each has in a block of a minute. */
  readonly successes: Readonly<Record<string, number>>;
  readonly blocks?: number;
  readonly isOver?: boolean;
  readonly pulled?: Readonly<Record<string, string>>;
  readonly shares?: Readonly<Record<string, number>>;
  readonly verdict: Partial<Record<'kind' | 'winner' | 'keep' | 'reason' | 'leader' | 'baseline', string>>;
  readonly says: string;
}

const FAR = { '2.0-a': 150, '2.0-b': 75 };
const ALIKE = { '2.0-a': 100, '2.0-b': 100 };

const ROWS: readonly Row[] = [
  {
    state: 'one version is clearly better',
    successes: FAR,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a wins: all others are beaten.',
  },
  {
    state: 'versions differ by less than is worth acting on',
    successes: ALIKE,
    blocks: 40,
    verdict: { kind: 'equivalent', keep: '2.0-a' },
    says: 'Between 2.0-a and 2.0-b there is no difference worth acting on of 2 percentage points; 2.0-a is kept.',
  },
  {
    state: 'too little is known',
    successes: ALIKE,
    blocks: 3,
    verdict: { kind: 'collecting' },
    says: 'more are needed',
  },
  {
    state: 'the deadline passes with nothing shown',
    spec: { ...ANYTIME, deadlineMs: 180_000 },
    successes: ALIKE,
    blocks: 3,
    verdict: { kind: 'inconclusive', reason: 'deadline', leader: '2.0-a' },
    says: 'The time is over and nothing is shown; the baseline stays.',
  },
  {
    state: 'the trial ends without traffic for one version',
    successes: { '2.0-a': 100 },
    isOver: true,
    verdict: { kind: 'inconclusive', reason: 'noData' },
    says: 'No data: 2.0-b got no allocated traffic.',
  },
  {
    state: 'the minimum duration is not reached',
    spec: { ...ANYTIME, minDurationMs: 3_600_000 },
    successes: FAR,
    verdict: { kind: 'collecting' },
    says: 'Shown so far: 2.0-a wins: all others are beaten. It is decided at the end of the minimum duration of 60 min, in 51 min, by the evidence of then.',
  },
  {
    state: 'a period is not full',
    spec: { ...ANYTIME, everyFullMs: 3_600_000 },
    successes: FAR,
    blocks: 59,
    verdict: { kind: 'collecting' },
    says: 'Shown so far: 2.0-a wins: all others are beaten. It is decided at the end of the whole period of 60 min, in 60 s, by the evidence of then.',
  },
  {
    state: 'nothing is shown before a period is full',
    spec: { ...ANYTIME, everyFullMs: 3_600_000 },
    successes: ALIKE,
    blocks: 3,
    verdict: { kind: 'collecting' },
    says: 'Nothing is decided before the end of the whole period of 60 min, in 57 min.',
  },
  {
    state: 'one of several is beaten before a period is full',
    spec: { ...ANYTIME, arms: WITH_CONTROL, everyFullMs: 3_600_000 },
    successes: { '1.4': 150, '2.0-a': 150, '2.0-b': 75 },
    blocks: 4,
    verdict: { kind: 'collecting' },
    says: 'Shown so far: 2.0-b is beaten. Nothing is decided before the end of the whole period of 60 min, in 56 min.',
  },
  {
    state: 'a later period is the first that may decide',
    spec: { ...ANYTIME, minDurationMs: 4_000_000, everyFullMs: 3_600_000 },
    successes: FAR,
    blocks: 61,
    verdict: { kind: 'collecting' },
    says: 'It is decided at the end of the whole period of 60 min, in 59 min',
  },
  {
    state: 'the time is over between the ends of two periods',
    spec: { ...ANYTIME, everyFullMs: 3_600_000 },
    successes: FAR,
    blocks: 9,
    isOver: true,
    verdict: { kind: 'inconclusive', reason: 'deadline', leader: '2.0-a' },
    says: 'The time is over and nothing is decided; the baseline stays. Shown so far: 2.0-a wins: all others are beaten. It would be decided at the end of the whole period of 60 min, in 51 min; extend the trial to wait for it.',
  },
  {
    state: 'a period is full',
    spec: { ...ANYTIME, everyFullMs: 3_600_000 },
    successes: FAR,
    blocks: 61,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a wins',
  },
  {
    state: 'a candidate beats the baseline and the other one',
    spec: { ...ANYTIME, arms: WITH_CONTROL },
    successes: { '1.4': 75, ...FAR },
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '1.4 (baseline)',
  },
  {
    state: 'the baseline is better than every candidate',
    spec: { ...ANYTIME, arms: WITH_CONTROL },
    successes: { '1.4': 150, '2.0-a': 75, '2.0-b': 75 },
    verdict: { kind: 'keepBaseline', baseline: '1.4' },
    says: 'No candidate is better than the baseline 1.4.',
  },
  {
    state: 'a candidate need not beat the baseline, and is worse than it by less than the margin',
    spec: { ...ANYTIME, arms: WITH_CONTROL.slice(0, 2), nonInferiority: 0.05 },
    successes: { '1.4': 100, '2.0-a': 95 },
    blocks: 30,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a wins: it is not worse than 1.4 by more than 5 percentage points.',
  },
  {
    state: 'two candidates are alike, and need not beat the baseline',
    spec: { ...ANYTIME, arms: WITH_CONTROL, nonInferiority: 0.05 },
    successes: { '1.4': 100, ...ALIKE },
    blocks: 60,
    verdict: { kind: 'equivalent', keep: '2.0-a' },
    says: 'Between 2.0-a and 2.0-b there is no difference worth acting on of 2 percentage points; 2.0-a is kept, which is not worse than 1.4 by more than 5 percentage points.',
  },
  {
    state: 'candidates are as good as the baseline',
    spec: { ...ANYTIME, arms: WITH_CONTROL },
    successes: { '1.4': 100, ...ALIKE },
    blocks: 60,
    verdict: { kind: 'equivalent', keep: '1.4' },
    says: '1.4 is kept.',
  },
  {
    state: 'a candidate need not be better than the baseline, and is as good',
    spec: { ...ANYTIME, arms: WITH_CONTROL, nonInferiority: 0.03 },
    successes: { '1.4': 100, '2.0-a': 100, '2.0-b': 60 },
    blocks: 60,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a wins: it is not worse than 1.4 by more than 3 percentage points.',
  },
  {
    state: 'every candidate was pulled',
    successes: FAR,
    pulled: { '2.0-a': 'errors 12 %', '2.0-b': 'errors 9 %' },
    verdict: { kind: 'pulled' },
    says: 'pulled: errors 12 %',
  },
  {
    state: 'the winner was pulled',
    successes: FAR,
    pulled: { '2.0-a': 'errors 12 %' },
    verdict: { kind: 'collecting' },
    says: 'pulled: errors 12 %',
  },
  {
    state: 'traffic was not split as asked',
    successes: FAR,
    shares: { '2.0-a': 0.7, '2.0-b': 0.3 },
    verdict: { kind: 'untrustedData', reason: 'sampleRatio' },
    says: '2.0-a got 4,500 of 6,300 expected',
  },
  {
    state: 'a source counts requests, and the plan says that they are accounts',
    spec: { ...ANYTIME, unit: 'account', split: 'sourceAccounts' },
    successes: FAR,
    shares: { '2.0-a': 0.7, '2.0-b': 0.3 },
    verdict: { kind: 'untrustedData', reason: 'sampleRatio' },
    says: 'or counts requests, of which the plan has to say decision.unit: request, nothing is decided',
  },
  {
    state: 'versions were given to groups of customers',
    spec: { ...ANYTIME, comparison: 'segment' },
    successes: FAR,
    isOver: true,
    verdict: { kind: 'inconclusive', reason: 'observational' },
    says: 'in the rules of traffic.policy write `to: { 2.0-a: 50, 2.0-b: 50 }` in place of one version.',
  },
  {
    state: 'the same version differs from itself',
    spec: { ...ANYTIME, aaTest: true },
    successes: FAR,
    verdict: { kind: 'untrustedData', reason: 'aaDifference' },
    says: 'something in the measuring is wrong',
  },
  {
    state: 'the same version does not differ from itself',
    spec: { ...ANYTIME, aaTest: true },
    successes: ALIKE,
    isOver: true,
    verdict: { kind: 'equivalent' },
    says: 'The measuring shows no difference',
  },
  {
    state: 'the planned sample is not complete',
    spec: FIXED,
    successes: FAR,
    blocks: 3,
    verdict: { kind: 'collecting' },
    says: 'about 1,000 requests more are needed, 60 s at the present traffic',
  },
  {
    state: 'the planned sample is complete and differs',
    spec: FIXED,
    successes: FAR,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a wins over 2.0-b.',
  },
  {
    state: 'the planned sample is complete and does not differ',
    spec: FIXED,
    successes: ALIKE,
    verdict: { kind: 'inconclusive', reason: 'notSignificant' },
    says: 'show no difference',
  },
  {
    state: 'the planned sample is not reached in time',
    spec: FIXED,
    successes: FAR,
    blocks: 3,
    isOver: true,
    verdict: { kind: 'inconclusive', reason: 'tooFewSamples' },
    says: 'Too few samples: 2,000 of each version were planned.',
  },
  {
    state: 'the greatest efficacy wins at the end',
    spec: GREATEST,
    successes: { '2.0-a': 101, '2.0-b': 100 },
    isOver: true,
    verdict: { kind: 'winner', winner: '2.0-a' },
    says: '2.0-a: 909 of 4,500 = 20.20 % (19.05 % to 21.40 %)',
  },
  {
    state: 'the greatest efficacy is shared',
    spec: GREATEST,
    successes: ALIKE,
    isOver: true,
    verdict: { kind: 'inconclusive', reason: 'tie' },
    says: 'A tie: 2.0-a and 2.0-b have the same, greatest efficacy.',
  },
];

function blocksOf({ successes, blocks = 9, shares }: Row): Block[] {
  const counts = Object.fromEntries(
    Object.entries(successes).map(([version, sum]) => [version, { n: 500, sum }]),
  );
  return Array.from({ length: blocks }, (_, i) => ({
    fromMs: i * 60_000,
    toMs: (i + 1) * 60_000,
    groups: { [EVERYONE]: counts },
    ...(shares === undefined ? {} : { shares }),
  }));
}

function verdictOf(row: Row): RuleVerdict {
  const { spec = ANYTIME, pulled = {}, isOver = false } = row;
  const state = blocksOf(row).reduce((before, block) => observe(spec, before, block), beginRule(spec));
  return judge(spec, withPulled(spec, state, pulled), isOver);
}

describe('the verdict', () => {
  test.each(ROWS)('when $state', (row) => {
    const verdict = verdictOf(row);
    expect(verdict.sentence).toContain(row.says);
    expect(verdict).toMatchObject(row.verdict);
  });

  test('of a rule without an error rate says so', () => {
    expect(verdictOf({ ...ROWS[0]!, spec: GREATEST }).notes).toContain(
      'The greatest ratio wins by this rule; it promises no error rate.',
    );
  });

  test('on groups of customers says what cannot be guaranteed, and offers what could', () => {
    const { notes } = verdictOf({ ...ROWS[0]!, spec: { ...ANYTIME, comparison: 'segment' } });
    expect(notes[0]).toContain('no error rate can be guaranteed');
    expect(notes[1]).toContain('A random split inside each group');
  });

  describe.each(['anytime', 'max-efficacy', 'fixed-sample'] as const)(
    'on groups of customers by %s',
    (rule) => {
      const rules = { anytime: ANYTIME, 'max-efficacy': GREATEST, 'fixed-sample': FIXED };
      const observational = { kind: 'inconclusive', reason: 'observational' };
      const over = (arms: readonly Arm[], successes: Row['successes']): RuleVerdict =>
        verdictOf({
          ...{ state: 'over', successes, verdict: {}, says: '', isOver: true },
          spec: { ...rules[rule], arms, comparison: 'segment' },
        });

      test('names no winner, not even of one candidate alone', () => {
        expect(over(CANDIDATES, FAR)).toMatchObject(observational);
        expect(over(CANDIDATES.slice(0, 1), { '2.0-a': 10 })).toMatchObject(observational);
      });

      test('does not keep the baseline as the better one either, nor call versions equal', () => {
        expect(over(WITH_CONTROL, { '1.4': 150, '2.0-a': 75, '2.0-b': 75 })).toMatchObject(observational);
        expect(over(WITH_CONTROL, { '1.4': 100, ...ALIKE })).toMatchObject(observational);
      });
    },
  );

  test('without a control arm claims the best of the candidates only', () => {
    expect(verdictOf(ROWS[0]!).notes).toContain(
      'No baseline share was kept: this is the best of the candidates, not a claim that it is better than today.',
    );
    const byAccount = { ...ANYTIME, arms: WITH_CONTROL, unit: 'account' } as const;
    expect(verdictOf({ ...ROWS[0]!, spec: byAccount }).notes).toEqual([]);
  });

  test('on requests says that the error rate holds for independent ones only', () => {
    expect(verdictOf({ ...ROWS[0]!, spec: { ...ANYTIME, arms: WITH_CONTROL } }).notes).toEqual([
      expect.stringContaining('their requests depend on each other'),
    ]);
  });

  test('goes to the only one that is left when the winner is pulled, at the end of the trial', () => {
    const state = blocksOf(ROWS[0]!).reduce((s, block) => observe(ANYTIME, s, block), beginRule(ANYTIME));
    const pulled = withPulled(ANYTIME, state, { '2.0-a': 'errors 12 %' });
    expect(judge(ANYTIME, pulled).kind).toBe('collecting');
    const next = observe(ANYTIME, pulled, { ...blocksOf(ROWS[0]!)[0]!, fromMs: 600_000, toMs: 660_000 });
    expect(judge(ANYTIME, next).kind).toBe('collecting');
    expect(judge(ANYTIME, next, true)).toMatchObject({ kind: 'winner', winner: '2.0-b' });
  });

  test('of a candidate without any competitor waits for the end of the trial', () => {
    const row: Row = { ...ROWS[0]!, spec: { ...ANYTIME, arms: CANDIDATES.slice(0, 1) } };
    expect(verdictOf(row).kind).toBe('collecting');
    expect(verdictOf({ ...row, isOver: true })).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  });

  test('of a candidate without any competitor is none where it got no traffic: no data is never a pass', () => {
    const spec = { ...ANYTIME, arms: CANDIDATES.slice(0, 1) };
    expect(judge(spec, beginRule(spec), true)).toMatchObject({ kind: 'inconclusive', reason: 'noData' });
  });

  test('by the greatest efficacy shows as many decimals as it takes to see which is greater', () => {
    const spec: MaxEfficacySpec = { ...GREATEST, volume: 'amount', unit: 'account' };
    const totals = [
      { version: '2.0-a', role: 'candidate', allocated: 1000, volume: 12_345.65 },
      { version: '2.0-b', role: 'candidate', allocated: 1000, volume: 12_345.7 },
    ] as const;
    const { sentence } = judge(spec, stateOfTotals(spec, totals, 60_000), true);
    expect(sentence).toContain('2.0-a: 12,345.65 of 1,000 = 12.3456 per account');
    expect(sentence).toContain('2.0-b: 12,345.70 of 1,000 = 12.3457 per account');
  });

  test('on capped amounts shows what they were before beside them', () => {
    const spec: RuleSpec = { ...ANYTIME, volume: 'amount', unit: 'account', cap: 50 };
    const arms = {
      '2.0-a': { n: 500, sum: 100, squares: 60, uncapped: 7_250 },
      '2.0-b': { n: 500, sum: 100, squares: 60, uncapped: 5_000 },
    };
    const block: Block = { fromMs: 0, toMs: 60_000, groups: { [EVERYONE]: arms } };
    const { sentence, notes } = judge(spec, observe(spec, beginRule(spec), block));
    expect(sentence).toMatch(/2\.0-a: 5,000 of 500 = 10\.000 per account \([^)]*\), uncapped 7,250;/);
    expect(notes).toContain(
      'What is compared is capped at 50 per account; the uncapped totals are shown beside it.',
    );
    const successes = { ...arms['2.0-a'], uncapped: 100 };
    const counted: Block = { ...block, groups: { [EVERYONE]: { '2.0-a': successes } } };
    expect(judge(ANYTIME, observe(ANYTIME, beginRule(ANYTIME), counted)).sentence).not.toContain('uncapped');
  });

  test('that is held back carries what it waits for, and that no evidence is missing', () => {
    const row: Row = { ...ROWS[0]!, spec: { ...ANYTIME, everyFullMs: 3_600_000 } };
    const until = { by: 'everyFull', lengthMs: 3_600_000, atMs: 3_600_000, inMs: 3_060_000 };
    expect(verdictOf(row).missing).toEqual({ units: 0, ms: 0, until });
    const { missing } = verdictOf({ ...row, successes: ALIKE });
    expect(missing).toEqual({ units: expect.any(Number), ms: expect.any(Number), until });
    expect(missing?.units).toBeGreaterThan(0);
    // Time alone is waited for, and nobody can say what of evidence.
    expect(verdictOf({ ...row, successes: ALIKE, blocks: 1 }).missing).toEqual({
      ...{ units: null, ms: null },
      until: { ...until, inMs: 3_540_000 },
    });
  });

  test('stands once it was made', () => {
    const decided = blocksOf(ROWS[0]!).reduce((s, block) => observe(ANYTIME, s, block), beginRule(ANYTIME));
    const after = blocksOf({ ...ROWS[0]!, successes: { '2.0-a': 10, '2.0-b': 200 } }).reduce(
      (s, block) => observe(ANYTIME, s, { ...block, fromMs: 600_000, toMs: 660_000 }),
      decided,
    );
    expect(judge(ANYTIME, after)).toMatchObject({ kind: 'winner', winner: '2.0-a' });
  });
});
