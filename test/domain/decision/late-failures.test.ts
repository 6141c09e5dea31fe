import { describe, expect, test } from 'vitest';
import {
  assessEvidence,
  UNWATCHED,
  watched,
  type GuardrailBounds,
  type GuardrailFinding,
} from '../../../src/domain/decision/guardrail-evidence.ts';
import {
  firstWeight,
  laterWeight,
  stretchesSince,
  withStart,
  type Start,
} from '../../../src/domain/decision/guardrail-starts.ts';
import { binomial, seededRandom } from '../../../src/domain/decision/simulation/random.ts';

const BOUNDS: GuardrailBounds = { errorCeiling: 0.01, alpha: 0.001 };
const PER_READING = 75;

/** A candidate of which the totals are read again and again, as the controller does. */
class Watched {
  assigned = 0;
  ended = { finished: 0, errors: 0, slow: 0 };
  readings = 0;
  #starts: readonly Start[] = [];

  /** So many are assigned until the next reading, and so many of all that are under way end, some of them badly. */
  read(assigned: number, { finished, errors }: { finished: number; errors: number }): GuardrailFinding {
    this.readings += 1;
    this.assigned += assigned;
    this.ended = { finished: this.ended.finished + finished, errors: this.ended.errors + errors, slow: 0 };
    const now = { assigned: this.assigned, ended: this.ended };
    const since = stretchesSince(this.#starts, now);
    this.#starts = withStart(this.#starts, { number: this.readings + 1, ...now });
    const candidate = { ...this.ended, finished: this.assigned };
    return assessEvidence({ ...UNWATCHED, candidate, since }, BOUNDS);
  }

  get starts(): number {
    return this.#starts.length;
  }
}

describe('the shares of the evidence', () => {
  test('are one in all, over all readings and incidents', () => {
    let sum = 0;
    for (let incidents = 0; incidents < 10_000; incidents += 1) sum += Math.exp(firstWeight(incidents));
    for (let number = 2; number < 1_000_000; number += 1) sum += Math.exp(laterWeight(number));
    expect(sum).toBeLessThan(1);
    expect(sum).toBeGreaterThan(0.99);
  });
});

describe('a candidate that begins to fail after an hour', () => {
  test.each([
    ['every request', 1, 1],
    ['every second one', 0.5, 1],
    ['every fifth one', 0.2, 2],
    ['every tenth one', 0.1, 4],
  ])('in %s is pulled within readings, and it is said of what', (_what, rate, most) => {
    const candidate = new Watched();
    // An hour, at less than a failure in 200.
    for (let i = 0; i < 4_800; i += 1) {
      const errors = i % 3 === 0 ? 1 : 0;
      const finding = candidate.read(PER_READING, { finished: PER_READING, errors });
      if (finding.kind !== 'holds') throw new Error(`pulled at reading ${i}`);
    }
    expect(candidate.starts).toBeLessThan(60);
    let readings = 0;
    let finding: GuardrailFinding = { kind: 'holds' };
    while (finding.kind === 'holds' && readings < 100) {
      readings += 1;
      finding = candidate.read(PER_READING, {
        finished: PER_READING,
        errors: Math.round(PER_READING * rate),
      });
    }
    expect(finding).toMatchObject({ kind: 'breach', guardrail: 'errors' });
    expect('reason' in finding && finding.reason).toMatch(/^\d+ of the last \d+ requests failed/);
    expect(readings).toBeLessThanOrEqual(most);
  });

  test('beside a baseline that does not, below every ceiling, is pulled within readings', () => {
    const bounds: GuardrailBounds = { errorRatio: 2, alpha: 0.001 };
    const block = (errors: number) => ({
      candidate: { finished: PER_READING, errors, slow: 0 },
      baseline: { finished: PER_READING, errors: 1, slow: 0 },
    });
    let state = UNWATCHED;
    for (let i = 0; i < 4_800; i += 1) state = watched(state, block(1), bounds);
    expect(assessEvidence(state, bounds).kind).toBe('holds');
    let readings = 0;
    while (assessEvidence(state, bounds).kind === 'holds' && readings < 100) {
      readings += 1;
      state = watched(state, block(PER_READING / 3), bounds);
    }
    expect(assessEvidence(state, bounds)).toMatchObject({
      kind: 'breach',
      guardrail: 'errorsAgainstBaseline',
    });
    expect(readings).toBeLessThanOrEqual(5);
  });

  test('is not blamed for failures of what was under way when its traffic fell', () => {
    const candidate = new Watched();
    // One in 150 fails, and takes forty readings for it.
    const failing = (reading: number): number => (reading >= 40 && reading % 2 === 0 ? 1 : 0);
    for (let i = 0; i < 1_000; i += 1) {
      const errors = failing(i);
      const hanging = i % 2 === 0 ? 1 : 0;
      candidate.read(PER_READING, { finished: PER_READING - hanging + errors, errors });
    }
    for (let i = 0; i < 40; i += 1) {
      const errors = failing(i + 1_000);
      expect(candidate.read(2, { finished: 2 + errors, errors })).toEqual({ kind: 'holds' });
    }
  });
});

test('a candidate at its limit is not pulled in a thousand trials, though evidence is begun at every reading', () => {
  const random = seededRandom(7);
  let pulled = 0;
  for (let trial = 0; trial < 1_000; trial += 1) {
    const candidate = new Watched();
    for (let i = 0; i < 60; i += 1) {
      const errors = binomial(random, PER_READING, 0.01);
      if (candidate.read(PER_READING, { finished: PER_READING, errors }).kind !== 'holds') {
        pulled += 1;
        break;
      }
    }
  }
  // Promised is one in a thousand on average; the seed is fixed, so that this is no chance.
  expect(pulled).toBe(0);
});
