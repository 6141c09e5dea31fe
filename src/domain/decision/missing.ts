import type { HeldBack } from './held-back.ts';
import { presentTraffic, type PresentTraffic } from './recent-traffic.ts';
import type { FixedSampleSpec, MaxEfficacySpec, RuleSpec } from './rule-spec.ts';
import { survivorsOf, totalsOf, type RuleState } from './rule-state.ts';
import type { Missing } from './rule-verdict.ts';
import { missingOf } from './rules/anytime-outlook.ts';
import { candidatesLeft } from './rules/shares.ts';

/** What is still to come: units at the traffic of late, where enough is known of that, and what is waited for. */
export function missingFor(spec: RuleSpec, state: RuleState, held?: HeldBack): Missing | null {
  if (held === undefined) return missingUnits(spec, state);
  const { until, shown } = held;
  if (shown.decided !== null) return { units: 0, ms: 0, until };
  return { ...(missingUnits(spec, state) ?? { units: null, ms: null }), until };
}

function missingUnits(spec: RuleSpec, state: RuleState): Missing | null {
  if (spec.rule === 'max-efficacy') return missingSamples(spec, state);
  const traffic = presentTraffic(state.traffic, survivorsOf(spec, state));
  if (traffic === undefined) return null;
  const { shares, unitsPerMs } = traffic;
  const units =
    spec.rule === 'anytime' ? missingOf(spec, state, shares) : unitsUntilPlanned(spec, state, shares);
  return units === undefined || units === 0 ? null : { units, ms: units / unitsPerMs };
}

/** Until who lacks most by its share has its planned units. */
function unitsUntilPlanned(
  spec: FixedSampleSpec,
  state: RuleState,
  shares: PresentTraffic['shares'],
): number {
  const totals = totalsOf(state);
  const each = survivorsOf(spec, state).map((version) => {
    const lacking = Math.max(0, spec.unitsPerArm - (totals[version]?.n ?? 0));
    return lacking / (shares[version] ?? 0);
  });
  return Math.max(0, ...each);
}

/** Of candidates; their totals do not say how fast they come now, and the end of the trial decides in any case. */
function missingSamples(spec: MaxEfficacySpec, state: RuleState): Missing | null {
  const totals = totalsOf(state);
  const left = candidatesLeft(spec, state).map((version) => totals[version]?.n ?? 0);
  const all = left.reduce((sum, n) => sum + n, 0);
  const units = Math.max(0, ...left.map((n) => Math.max(0, spec.minSamples - n) * (all / n)));
  return Number.isFinite(units) && units > 0 ? { units, ms: null } : null;
}
