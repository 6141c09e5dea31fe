import type { Outcomes } from './guardrail-evidence.ts';

/**
 * When a candidate began to fail is not known, and a long good past would stand against what it does now. So the evidence
 * is begun again and again, at each reading, with a share of the capital for each beginning: a mixture of e-processes is
 * one, so that the probability to pull a candidate that keeps its bounds stays ≤ alpha for the whole trial, however long.
 */

/** Of the capital, for what is counted since the guardrails were armed. */
const FIRST = 0.97;
/** For what is counted since the ends of incidents, and since later readings. */
const AFTER_INCIDENTS = 0.01;
const LATER = 0.02;

/** ln of the share of the evidence that began when the guardrails were armed, or when the last of `incidents` was over. */
export function firstWeight(incidents: number): number {
  // 1/2 + 1/6 + 1/12 + … = 1.
  return Math.log(incidents === 0 ? FIRST : AFTER_INCIDENTS / (incidents * (incidents + 1)));
}

/** ln of the share for the reading with this number from 2; about 1/(50·n·ln²n), all of them together a fiftieth. */
export function laterWeight(number: number): number {
  const left = (n: number): number => 1 / (1 + Math.log(n));
  return Math.log(LATER * (left(number - 1) - left(number)));
}

/** Totals of a release when evidence was begun once more. */
export interface Start {
  /** Of the reading; grows. */
  readonly number: number;
  readonly assigned: number;
  readonly ended: Outcomes;
}

/** Starts of the last readings that are kept one by one; of older ones each that is half as old again as the next. */
const RECENT = 20;
const THINNING = 1.5;

/** With one more; to leave some out makes the evidence smaller only. */
export function withStart(starts: readonly Start[], start: Start): readonly Start[] {
  if (start.number <= (starts.at(-1)?.number ?? 1)) return starts;
  const kept: Start[] = [start];
  let age = 0;
  for (const one of starts.toReversed()) {
    const its = start.number - one.number;
    if (kept.length > RECENT && its < age * THINNING) continue;
    kept.push(one);
    age = its;
  }
  return kept.toReversed();
}

/** Outcomes of what was assigned since a start, and ln of the share of the capital that is bet on them. */
export interface Stretch extends Outcomes {
  readonly lnWeight: number;
}

/**
 * What was under way at a start may fail later without having been assigned after it: so many failures are not counted.
 * What is under way now counts as not failed, as everywhere.
 */
export function stretchesSince(
  starts: readonly Start[],
  { assigned, ended }: Pick<Start, 'assigned' | 'ended'>,
): readonly Stretch[] {
  return starts.map((start) => {
    const underWay = Math.max(0, start.assigned - start.ended.finished);
    const finished = Math.max(0, assigned - start.assigned);
    const since = (now: number, before: number): number =>
      Math.min(finished, Math.max(0, now - before - underWay));
    return {
      lnWeight: laterWeight(start.number),
      finished,
      errors: since(ended.errors, start.ended.errors),
      slow: since(ended.slow, start.ended.slow),
    };
  });
}
