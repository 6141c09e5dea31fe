import { z } from 'zod';
import {
  UNWATCHED,
  watched,
  type GuardrailBounds,
  type GuardrailState,
  type OutcomePair,
  type Outcomes,
} from '../domain/decision/guardrail-evidence.ts';
import type { Start } from '../domain/decision/guardrail-starts.ts';
import { NO_ALLOTTED, NO_TOTALS, type AllottedTotals, type ReleaseTotals } from './release-totals.ts';

/**
 * What is learnt of a candidate from reading to reading, beside the baseline. `counted` are the totals up to which it is
 * learnt: kept in one with it, so that after a restart the next difference begins just there, and nothing counts twice.
 */
export interface CandidateEvidence {
  readonly relative: GuardrailState['relative'];
  readonly loss: GuardrailState['loss'];
  readonly counted: ComparedTotals;
}

interface TotalsPair {
  readonly candidate: AllottedTotals;
  readonly baseline: AllottedTotals;
}

/** What a candidate is judged by. `groups`: where the policy deals groups at random, the same of each of them. */
export interface ComparedTotals extends TotalsPair {
  readonly groups?: Readonly<Record<string, TotalsPair>>;
}

export function comparedTotals(
  totals: Readonly<Record<string, ReleaseTotals>>,
  { release, baseline, groups }: { release: string; baseline: string; groups: ReadonlySet<string> },
): ComparedTotals {
  const [its, others] = [totals[release] ?? NO_TOTALS, totals[baseline] ?? NO_TOTALS];
  const pairOf = (group: string): TotalsPair => ({
    candidate: its.byGroup[group] ?? NO_ALLOTTED,
    baseline: others.byGroup[group] ?? NO_ALLOTTED,
  });
  return {
    candidate: its.allotted,
    baseline: others.allotted,
    ...(groups.size === 0
      ? {}
      : { groups: Object.fromEntries([...groups].map((group) => [group, pairOf(group)])) }),
  };
}

const number = z.number();
const allottedSchema = z.strictObject({
  assigned: number,
  finished: number,
  errors: number,
  units: number,
  volume: number,
});
const pairSchema = z.strictObject({ candidate: allottedSchema, baseline: allottedSchema });
const badSchema = z.strictObject({ finished: number, bad: number });
const unitsSchema = z.strictObject({ units: number, volume: number });
const outcomesSchema = z.strictObject({ finished: number, errors: number, slow: number });
const startSchema = z.strictObject({ number, assigned: number, ended: outcomesSchema });
/** Evidence of an arming, by candidate. */
export const armedEvidenceSchema = z.strictObject({
  format: z.literal(1),
  armedAt: z.string(),
  candidates: z.record(
    z.string(),
    z.strictObject({
      relative: z.strictObject({
        lnE: z.array(number),
        finished: number,
        bad: number,
        blocks: number.exactOptional(),
        groups: z.record(z.string(), badSchema).exactOptional(),
      }),
      loss: z.strictObject({ candidate: unitsSchema, baseline: unitsSchema }),
      counted: pairSchema.extend({ groups: z.record(z.string(), pairSchema).exactOptional() }),
    }),
  ),
  starts: z
    .record(z.string(), z.strictObject({ incidents: number, starts: z.array(startSchema) }))
    .exactOptional(),
  recent: z.array(outcomesSchema).exactOptional(),
});
export interface ArmedEvidence {
  readonly format: 1;
  readonly armedAt: string;
  readonly candidates: Readonly<Record<string, CandidateEvidence>>;
  /** From where evidence is begun anew, by candidate. Absent in files from before it was kept. */
  readonly starts?: Readonly<Record<string, BegunEvidence>>;
  /** The baseline's totals at the readings of the last seconds: a start and what befell everybody since belong together. */
  readonly recent?: readonly Outcomes[];
}

/** Totals at earlier readings, since so many incidents were over. */
export interface BegunEvidence {
  readonly incidents: number;
  readonly starts: readonly Start[];
}

export function beginEvidence(counted: ComparedTotals): CandidateEvidence {
  return { relative: UNWATCHED.relative, loss: UNWATCHED.loss, counted };
}

/**
 * One reading more. What is under way is taken against blame: of the candidate it counts as not failed and is not
 * expected to have brought anything, of the baseline it counts as not there for failures, and as there for the loss.
 * The same object where nothing was learnt.
 */
export function nextEvidence(
  evidence: CandidateEvidence,
  now: ComparedTotals,
  bounds: GuardrailBounds,
): CandidateEvidence {
  const whole = difference(evidence.counted, now);
  if (whole === undefined || (isNothing(whole.by.candidate) && isNothing(whole.by.baseline))) return evidence;
  const known = evidence.counted.groups;
  // In files from before groups were told apart there are none, and what was learnt is of all of them together.
  const isNew = now.groups !== undefined && known === undefined;
  const groups = Object.entries(now.groups ?? {}).map(([name, pair]) => {
    const before = isNew ? pair : (known?.[name] ?? NO_PAIR);
    return [name, before, difference(before, pair)] as const;
  });
  const block = Object.fromEntries(
    groups.map(([name, , found]) => [name, outcomesOf(found?.by ?? NO_PAIR)] as const),
  );
  const next = watched(
    { ...UNWATCHED, relative: isNew ? UNWATCHED.relative : evidence.relative, loss: evidence.loss },
    { ...outcomesOf(whole.by), ...(now.groups === undefined ? {} : { groups: block }) },
    bounds,
  );
  const counted =
    now.groups === undefined
      ? whole.to
      : {
          ...whole.to,
          groups: Object.fromEntries(groups.map(([name, before, found]) => [name, found?.to ?? before])),
        };
  return { relative: next.relative, loss: next.loss, counted };
}

const NO_PAIR: TotalsPair = { candidate: NO_ALLOTTED, baseline: NO_ALLOTTED };

function outcomesOf({ candidate, baseline }: TotalsPair): OutcomePair {
  return {
    candidate: { ...candidate, finished: candidate.assigned, slow: 0 },
    baseline: { ...baseline, slow: 0 },
  };
}

/**
 * What came since. Both at once, or later (undefined): failures of requests that were assigned in an earlier reading are
 * no more than there are.
 */
function difference(before: TotalsPair, now: TotalsPair): { by: TotalsPair; to: TotalsPair } | undefined {
  const candidate = grown(before.candidate, settled(now.candidate));
  const baseline = grown(before.baseline, now.baseline);
  if (candidate.by.assigned < candidate.by.errors || baseline.by.finished < baseline.by.errors) {
    return undefined;
  }
  return {
    by: { candidate: candidate.by, baseline: baseline.by },
    to: { candidate: candidate.to, baseline: baseline.to },
  };
}

/** Units whose outcome can be known: at most as many are out as requests are under way. */
function settled(totals: AllottedTotals): AllottedTotals {
  return { ...totals, units: Math.max(0, totals.units - (totals.assigned - totals.finished)) };
}

/** What was added; what fell (more under way than before, a gateway not read since it started) waits until it is back. */
function grown(before: AllottedTotals, now: AllottedTotals): { by: AllottedTotals; to: AllottedTotals } {
  const to = { ...before };
  const by = { ...NO_ALLOTTED };
  for (const field of ['assigned', 'finished', 'errors', 'units'] as const) {
    to[field] = Math.max(before[field], now[field]);
    by[field] = to[field] - before[field];
  }
  // Amounts may fall for a reason: a refund.
  return { by: { ...by, volume: now.volume - before.volume }, to: { ...to, volume: now.volume } };
}

function isNothing({ assigned, finished, units, volume }: AllottedTotals): boolean {
  return assigned === 0 && finished === 0 && units === 0 && volume === 0;
}
