import type { Plan } from '../plan/schema.ts';
import type { AnyVerdict } from './results.ts';

/**
 * The candidate that a verdict speaks for: the winner, or among candidates without a difference worth acting on the one
 * that is kept. An A/A test measures the measuring, and promotes nothing.
 */
export function promotable({ baseline, decision }: Plan, verdict: AnyVerdict | null): string | undefined {
  if (decision.aaTest === true) return undefined;
  if (verdict?.kind === 'winner') return verdict.winner;
  return verdict?.kind === 'equivalent' && verdict.keep !== baseline.version ? verdict.keep : undefined;
}
