import type { PlanDraft } from '../draft.ts';
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
