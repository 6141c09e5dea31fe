import type { Plan } from '../plan/schema.ts';
import type { RoutesPurpose } from './step.ts';

/** Which candidates are guarded from a change of the routes on; null where that does not change. */
export function guardrailsOf(
  plan: Plan,
  purpose: RoutesPurpose,
): { readonly releases: readonly string[]; readonly guardrails: Plan['guardrails'] } | null {
  switch (purpose) {
    case 'trial':
      return { releases: plan.candidates.map(({ version }) => version), guardrails: plan.guardrails };
    case 'retreat':
      return { releases: [], guardrails: plan.guardrails };
    case 'stage':
    case 'drop':
    case 'restore':
    case 'lead':
    case 'open':
    case 'remove':
      return null;
  }
}
