import { expect, test } from 'vitest';
import { assignedSince, totalsByRelease } from '../../src/controller/release-totals.ts';
import { assessEvidence, DEFAULT_ALPHA, UNWATCHED } from '../../src/domain/decision/guardrail-evidence.ts';
import { seededRandom } from '../../src/domain/decision/simulation/random.ts';
import { countOf } from './running-controller.ts';

const REQUESTS = 2_000;
const EVERY_MS = 10;
const READ_MS = 250;
const LIMIT = 0.05;
const bounds = { errorCeiling: LIMIT, alpha: DEFAULT_ALPHA };

/** Failures are quick and successes take their time: what is known early is nearly all bad. */
function endsAfterMs(fails: boolean): number {
  return fails ? 20 : 3_000;
}

/** Whether a candidate with this rate of failures is pulled, looked at every 250 ms for 20 seconds. */
function isPulled(rate: number, random: () => number): boolean {
  const outcomes = Array.from({ length: REQUESTS }, () => random() < rate);
  for (let atMs = READ_MS; atMs <= REQUESTS * EVERY_MS; atMs += READ_MS) {
    let succeeded = 0;
    let failed = 0;
    const requests = Math.floor(atMs / EVERY_MS);
    for (let n = 0; n < requests; n++) {
      const fails = outcomes[n] === true;
      if (n * EVERY_MS + endsAfterMs(fails) > atMs) continue;
      if (fails) failed += 1;
      else succeeded += 1;
    }
    const totals = totalsByRelease([countOf({ release: '2.0-a', requests, succeeded, failed })], {
      volume: 'successes',
      underWay: {},
      groups: new Set<string>(),
    })['2.0-a'];
    if (totals === undefined) throw new Error('no totals');
    const candidate = assignedSince({ finished: 0, errors: 0, slow: 0 }, totals);
    if (assessEvidence({ ...UNWATCHED, candidate }, bounds).kind === 'breach') return true;
  }
  return false;
}

test('a candidate just at its limit, with slow successes, is not pulled in a thousand trials', () => {
  const random = seededRandom(5);
  let pulled = 0;
  for (let trial = 0; trial < 1_000; trial++) if (isPulled(LIMIT, random)) pulled += 1;
  // Promised is one in a thousand at most, on average.
  expect(pulled).toBe(0);
});

test('one at four times its limit is pulled in all of a hundred', () => {
  const random = seededRandom(6);
  for (let trial = 0; trial < 100; trial++) expect(isPulled(4 * LIMIT, random)).toBe(true);
});

test('totals of groups hold what came of them, held back or not, and against blame all that is under way', () => {
  const groups = new Set(['range:..35', 'range:35..']);
  const rows = [
    { bucket: 'range:..35', requests: 10, succeeded: 8, serverErrors: 2 },
    { bucket: 'range:..35', server: 'b2', requests: 5, succeeded: 5 },
    { bucket: 'held-back:range:35..', requests: 4, succeeded: 4 },
    // Of these nobody knows the group: an HAProxy's requests without an answer, and what is not the policy's.
    { bucket: 'unanswered', requests: 3, failed: 3 },
    { bucket: 'failover', requests: 2, succeeded: 2 },
  ].map(countOf);
  const { '1.4': totals } = totalsByRelease(rows, { volume: 'successes', underWay: { '1.4': 7 }, groups });
  expect(totals?.byGroup).toMatchObject({
    'range:..35': { assigned: 22, finished: 15, errors: 2 },
    'range:35..': { assigned: 11, finished: 4, errors: 0 },
  });
  expect(totals?.allotted).toMatchObject({ assigned: 29, finished: 22, errors: 5 });
});
