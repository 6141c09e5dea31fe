import type { Plan } from './schema.ts';
import type { SourcePlan } from './source-schema.ts';

/** Where a plan's units and outcomes are read: at the gateways, where it says nothing. */
export function sourceOf({ source }: Pick<Plan['measure'], 'source'>): SourcePlan {
  return source ?? { from: 'gateways' };
}
