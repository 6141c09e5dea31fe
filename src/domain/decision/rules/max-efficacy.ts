import { assess } from '../assess.ts';
import type { ArmEvidence, Verdict } from '../decision.ts';
import { controlOf, type MaxEfficacySpec } from '../rule-spec.ts';
import { totalsOf, type RuleState } from '../rule-state.ts';

/** The source method on the same blocks: only the totals count, and only the end decides. */
export function assessTotals(spec: MaxEfficacySpec, state: RuleState, at: 'during' | 'end'): Verdict {
  const { volume, minSamples, unit } = spec;
  const rule = { rule: spec.rule, volume, unit, minSamples, beatBaseline: controlOf(spec) !== undefined };
  return assess(rule, evidenceFrom(spec, state), at);
}

function evidenceFrom({ arms, cap = 1, comparesCapped }: MaxEfficacySpec, state: RuleState): ArmEvidence[] {
  const totals = totalsOf(state);
  return arms.map(({ version, role }) => {
    const reason = state.pulled[version];
    const capped = (totals[version]?.sum ?? 0) * cap;
    return {
      version,
      role,
      allocated: totals[version]?.n ?? 0,
      volume: comparesCapped === true ? capped : (state.uncapped[version] ?? capped),
      ...(reason === undefined ? {} : { pulled: reason }),
    };
  });
}
