import type { HistoryStep } from './history-steps.ts';

/** A time of the run in which servers were changed. Epoch milliseconds. */
export interface Span {
  readonly from: number;
  readonly until: number;
}

/**
 * Servers that were changed together: from the closing of their ingress until they are ready. Where their routes take
 * effect before the next batch begins, that belongs to it.
 */
export interface Batch extends Span {
  readonly servers: readonly string[];
  readonly steps: readonly HistoryStep[];
}

export interface Changes {
  readonly batches: readonly Batch[];
  /**
   * What counts as wall time: the candidate clusters (closing → routes of the trial in effect), and the promotion (all
   * traffic to the winner → the last batch open). Preflight, trial and decision lie outside: their length is the plan's.
   */
  readonly spans: readonly Span[];
}

/** Cuts the history into its batches. @throws where the run did not go straight through to the promotion */
export function changesOf(steps: readonly HistoryStep[]): Changes {
  const batches: Batch[] = [];
  let open: HistoryStep[] = [];
  const close = (): void => {
    if (open.length > 0) batches.push(batchOf(open));
    open = [];
  };
  for (const step of steps) {
    if (step.activity === 'closeIngress') close();
    else if (open.length === 0) continue;
    open.push(step);
    if (step.activity === 'applyRoutes') close();
  }
  const [candidates, ...followers] = batches;
  const promoted = steps.find(({ activity }) => activity === 'promoteOptimal');
  const last = followers.at(-1);
  if (candidates === undefined || last === undefined || promoted === undefined) {
    throw new Error(`this upgrade has no promotion: ${steps.map(({ activity }) => activity).join(', ')}`);
  }
  return {
    batches,
    spans: [
      { from: candidates.from, until: candidates.until },
      { from: promoted.scheduledAt, until: last.until },
    ],
  };
}

function batchOf(steps: readonly HistoryStep[]): Batch {
  const [first] = steps;
  return {
    servers: first?.servers ?? [],
    from: first?.scheduledAt ?? Number.NaN,
    until: steps.at(-1)?.completedAt ?? Number.NaN,
    steps,
  };
}
