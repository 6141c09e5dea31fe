import { describe, expect, it } from 'vitest';
import {
  assessGuardrails,
  outcomesSince,
  type GuardrailRules,
  type GuardrailVerdict,
  type ReleaseOutcomes,
} from '../../src/domain/guardrails.ts';

const errorRate: GuardrailRules = { errorRate: { max: 0.05, minRequests: 100 } };
const slow: GuardrailRules = { slow: { maxShare: 0.2, minRequests: 50 } };
const both: GuardrailRules = { ...errorRate, ...slow };

function outcomes(finished: number, errors = 0, slowOnes = 0): ReleaseOutcomes {
  return { finished, errors, slow: slowOnes };
}

describe('guardrails', () => {
  it.each<[string, ReleaseOutcomes, GuardrailRules, GuardrailVerdict['kind']]>([
    ['no data is neither a pass nor a breach', outcomes(0), errorRate, 'unknown'],
    ['too few requests, all of them failed', outcomes(99, 99), errorRate, 'unknown'],
    ['enough requests, none failed', outcomes(100), errorRate, 'holds'],
    ['exactly the allowed share', outcomes(100, 5), errorRate, 'holds'],
    ['just above the allowed share', outcomes(100, 6), errorRate, 'breach'],
    ['errors do not matter where only slowness is guarded', outcomes(100, 100), slow, 'holds'],
    ['slow ones within the bound', outcomes(50, 0, 10), slow, 'holds'],
    ['too many slow ones', outcomes(50, 0, 11), slow, 'breach'],
    ['one rule has enough requests and holds, the other has too few', outcomes(60), both, 'unknown'],
    ['one rule is broken, the other has too few', outcomes(60, 0, 30), both, 'breach'],
    ['both rules hold', outcomes(100, 1, 1), both, 'holds'],
  ])('%s', (_, given, rules, expected) => {
    expect(assessGuardrails(given, rules).kind).toBe(expected);
  });

  it('say the numbers of what was broken, for the audit (invariant 8)', () => {
    expect(assessGuardrails(outcomes(200, 20, 50), both)).toEqual({
      kind: 'breach',
      reason:
        '20 of 200 requests failed (10 %), allowed are 5 %; 50 of 200 requests were too slow (25 %), allowed are 20 %',
    });
  });

  it('count from the moment of arming', () => {
    expect(outcomesSince(outcomes(1000, 900, 5), outcomes(1100, 901, 5))).toEqual(outcomes(100, 1, 0));
  });
});
