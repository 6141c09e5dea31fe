import { assess } from '../assess.ts';
import type { ArmEvidence, Verdict } from '../decision.ts';
import { controlOf, type MaxEfficacySpec } from '../rule-spec.ts';
import { totalsOf, type RuleState } from '../rule-state.ts';

/** The source method on the same blocks: only the totals count, and only the end decides. */
export function assessTotals(spec: MaxEfficacySpec, state: RuleState, at: 'during' | 'end'): Verdict {
  const { volume, minSamples } = spec;
  const rule = { rule: spec.rule, volume, minSamples, beatBaseline: controlOf(spec) !== undefined };
  return assess(rule, evidenceFrom(spec, state), at);
}

function evidenceFrom({ arms, cap = 1 }: MaxEfficacySpec, state: RuleState): ArmEvidence[] {
  const totals = totalsOf(state);
  return arms.map(({ version, role }) => {
    const reason = state.pulled[version];
    return {
      version,
      role,
      allocated: totals[version]?.n ?? 0,
      volume: state.uncapped[version] ?? (totals[version]?.sum ?? 0) * cap,
      ...(reason === undefined ? {} : { pulled: reason }),
    };
  });
}
