import type { Plan } from './schema.ts';
import type { SourcePlan } from './source-schema.ts';

/** Where a plan's units and outcomes are read: at the gateways, where it says nothing. */
export function sourceOf({ source }: Pick<Plan['measure'], 'source'>): SourcePlan {
  return source ?? { from: 'gateways' };
}

/** How long ago what a source tells of had happened, and the field that says so; none where it tells what is counted now. */
export function settlingOf(
  source: SourcePlan,
): { readonly field: string; readonly waitMs: number } | undefined {
  switch (source.from) {
    case 'sql':
      return { field: 'settlement', waitMs: source.settlementMs };
    case 'prometheus':
      return { field: 'settle', waitMs: source.settleMs };
    case 'http':
    case 'gateways':
      return undefined;
  }
}
