import { describe, expect, it } from 'vitest';
import { TRANSACTION_UNALLOTTED } from '../../src/domain/policy/allotment.ts';
import { DecisionNumbers, decisionOf } from '../../src/haproxy/decision-numbers.ts';
import { DECISION_BASE, GO, TRANSACTION } from '../../src/haproxy/layout.ts';

const ODD = { release: '2.0:a', bucket: 'tail:odd' };

/** As the routes map has them when the next table comes. */
function stored(numbers: DecisionNumbers): Map<string, number> {
  return new Map(numbers.entries.map(([key, text]) => [text, Number(BigInt(key) - DECISION_BASE)]));
}

describe('The number of a decision', () => {
  it('is the same for whoever gives it, also where everything was lost', () => {
    expect(new DecisionNumbers().of(ODD)).toBe(new DecisionNumbers().of(ODD));
  });

  it('is said by the map, with release and bucket as they were', () => {
    const numbers = new DecisionNumbers();
    const number = numbers.of(ODD);
    const text = new Map(numbers.entries).get(String(DECISION_BASE + BigInt(number)));
    expect(decisionOf(text ?? '')).toEqual(ODD);
  });

  it('never is one that stands for something else already, and stays what it was given as', () => {
    const taken = new DecisionNumbers().of(ODD);
    const numbers = new DecisionNumbers(new Map([['1.0:main', taken]]));
    const other = numbers.of(ODD);
    expect(other).not.toBe(taken);
    expect(numbers.of({ release: '1.0', bucket: 'main' })).toBe(taken);
    expect(new DecisionNumbers(stored(numbers)).of(ODD)).toBe(other);
  });

  it('is known of former tables too, but not of all that ever were', () => {
    let before = new Map<string, number>();
    for (let table = 0; table < 1_200; table += 1) {
      const numbers = new DecisionNumbers(before);
      numbers.of({ release: `1.${table}`, bucket: 'main' });
      before = stored(numbers);
    }
    expect(before.has('1.1199:main')).toBe(true);
    expect(before.has('1.500:main')).toBe(true);
    expect(before.has('1.0:main')).toBe(false);
  });

  it('of a transaction that began otherwise differs from that of others by what the rules add', () => {
    const numbers = new DecisionNumbers();
    const other = numbers.of({ release: '1.0', bucket: TRANSACTION_UNALLOTTED });
    expect(other).toBe(numbers.of({ release: '1.0', bucket: TRANSACTION }) + GO.otherwise);
  });
});
