import { goesByUnits } from '../../decision/counting-of.ts';
import { formatDuration } from '../../duration.ts';
import type { PlanDraft } from '../draft.ts';
import { sourceOf } from '../source-of.ts';
import { planProblem, type PlanProblem } from '../problem.ts';

/** Sections of HAProxy's configuration that are no service's begin with it. */
const HAPROXY_OWN_NAME = 'changeover';

export function haproxyHasOtherName({ gateways, service }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined || service !== HAPROXY_OWN_NAME) return [];
  const message = `must be another name: ${haproxy.name ?? 'one gateway'} is an HAProxy, in whose configuration this one stands for what upgrades need themselves`;
  return [planProblem({ path: ['service'], value: service, message })];
}

/** Whether HAProxy can tell keys below a bound from those above it: it computes with whole numbers. */
export function isHaproxyBound(bound: number): boolean {
  return Number.isSafeInteger(bound) && Math.abs(bound) < 1e15;
}

export function haproxyComparesBounds({ gateways, traffic }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined || traffic?.policy?.kind !== 'range') return [];
  const message = `must be a whole number of at most 15 digits: ${haproxy.name ?? 'one gateway'} is an HAProxy, which compares no others`;
  return traffic.policy.rules.flatMap((rule, index) =>
    (['from', 'below'] as const).flatMap((field) => {
      const value = rule[field];
      if (value === undefined || isHaproxyBound(value)) return [];
      return [planProblem({ path: ['traffic', 'policy', 'rules', index, field], value, message })];
    }),
  );
}

/** Only embedded gateways take members of baggage apart. */
export function haproxyReadsNoBaggage({ gateways, traffic }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined) return [];
  const message = `must be header or cookie: ${haproxy.name ?? 'one gateway'} is an HAProxy, which cannot read members of baggage`;
  const sources = [
    { path: ['traffic', 'key', 'from'], value: traffic?.key?.from },
    { path: ['traffic', 'account', 'from'], value: traffic?.account?.from },
    { path: ['traffic', 'transactions', 'id', 'from'], value: traffic?.transactions?.id?.from },
  ];
  return sources
    .filter(({ value }) => value === 'baggage')
    .map(({ path, value }) => planProblem({ path, value, message }));
}

/** HAProxy's tables keep nothing for longer than 24 days. */
const LONGEST_WINDOW_MS = 23 * 86_400_000;

/** An account is counted when its window is over and its last outcome is known. */
export function haproxyKeepsWindows({ gateways, decision, measure }: PlanDraft): PlanProblem[] {
  const haproxy = gateways?.find((gateway) => gateway?.kind === 'haproxy');
  if (haproxy === undefined || decision === undefined) return [];
  const { unit, windowMs, outcomeWithinMs } = decision;
  const isElsewhere = measure !== undefined && sourceOf(measure).from !== 'gateways';
  if (!goesByUnits(decision) || unit === 'request' || isElsewhere) return [];
  if (windowMs + outcomeWithinMs <= LONGEST_WINDOW_MS) return [];
  const name = haproxy.name ?? 'one gateway';
  const message = `must be, with decision.outcomeWithin, at most 23d: ${name} is an HAProxy, which keeps nothing for longer`;
  return [planProblem({ path: ['decision', 'window'], value: formatDuration(windowMs), message })];
}
