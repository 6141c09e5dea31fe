import { z } from 'zod';
import {
  UNWATCHED,
  watched,
  type GuardrailBounds,
  type GuardrailState,
  type Outcomes,
} from '../domain/decision/guardrail-evidence.ts';
import type { Start } from '../domain/decision/guardrail-starts.ts';
import { NO_ALLOTTED, type AllottedTotals } from './release-totals.ts';

/**
 * What is learnt of a candidate from reading to reading, beside the baseline. `counted` are the totals up to which it is
 * learnt: kept in one with it, so that after a restart the next difference begins just there, and nothing counts twice.
 */
export interface CandidateEvidence {
  readonly relative: GuardrailState['relative'];
  readonly loss: GuardrailState['loss'];
  readonly counted: { readonly candidate: AllottedTotals; readonly baseline: AllottedTotals };
}

const number = z.number();
const allottedSchema = z.strictObject({
  assigned: number,
  finished: number,
  errors: number,
  units: number,
  volume: number,
});
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
      }),
      loss: z.strictObject({ candidate: unitsSchema, baseline: unitsSchema }),
      counted: z.strictObject({ candidate: allottedSchema, baseline: allottedSchema }),
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

export function beginEvidence(
  candidate: AllottedTotals = NO_ALLOTTED,
  baseline: AllottedTotals = NO_ALLOTTED,
): CandidateEvidence {
  return { relative: UNWATCHED.relative, loss: UNWATCHED.loss, counted: { candidate, baseline } };
}

/**
 * One reading more. What is under way is taken against blame: of the candidate it counts as not failed and is not
 * expected to have brought anything, of the baseline it counts as not there for failures, and as there for the loss.
 * The same object where nothing was learnt.
 */
export function nextEvidence(
  evidence: CandidateEvidence,
  now: { readonly candidate: AllottedTotals; readonly baseline: AllottedTotals },
  bounds: GuardrailBounds,
): CandidateEvidence {
  const candidate = grown(evidence.counted.candidate, settled(now.candidate));
  const baseline = grown(evidence.counted.baseline, now.baseline);
  const counted = { candidate: candidate.to, baseline: baseline.to };
  // Both at once, or later: failures of requests that were assigned in an earlier reading are no more than there are.
  if (candidate.by.assigned < candidate.by.errors || baseline.by.finished < baseline.by.errors)
    return evidence;
  if (isNothing(candidate.by) && isNothing(baseline.by)) return evidence;
  const next = watched(
    { ...UNWATCHED, relative: evidence.relative, loss: evidence.loss },
    {
      candidate: { ...candidate.by, finished: candidate.by.assigned, slow: 0 },
      baseline: { ...baseline.by, slow: 0 },
    },
    bounds,
  );
  return { relative: next.relative, loss: next.loss, counted };
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
