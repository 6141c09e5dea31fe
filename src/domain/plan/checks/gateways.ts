import type { PlanDraft } from '../draft.ts';
import { sourceOf } from '../source-of.ts';
import { planProblem, type PlanProblem } from '../problem.ts';

/** Only embedded gateways take members of baggage apart. */
export function haproxyReadsNoBaggage({ gateways, traffic }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined) return [];
  const message = `must be header or cookie: ${haproxy.name ?? 'one gateway'} is an HAProxy, which cannot read members of baggage`;
  const sources = [
    { path: ['traffic', 'key', 'from'], value: traffic?.key?.from },
    { path: ['traffic', 'transactions', 'id', 'from'], value: traffic?.transactions?.id?.from },
  ];
  return sources
    .filter(({ value }) => value === 'baggage')
    .map(({ path, value }) => planProblem({ path, value, message }));
}

/** HAProxy keeps no window for each account. */
export function haproxyCountsRequests({ gateways, decision, measure }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined || decision === undefined) return [];
  const { rule, unit } = decision;
  const isElsewhere = measure !== undefined && sourceOf(measure).from !== 'gateways';
  if (rule === 'max-efficacy' || unit === 'request' || isElsewhere) return [];
  const name = haproxy.name ?? 'one gateway';
  const message = `must be request: ${name} is an HAProxy, which does not count by account; where the same customers come again and again, serve the trial by embedded gateways`;
  return [planProblem({ path: ['decision', 'unit'], value: unit, message })];
}
