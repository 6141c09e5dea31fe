import { assess } from '../assess.ts';
import type { ArmEvidence, Verdict } from '../decision.ts';
import { controlOf, type MaxEfficacySpec } from '../rule-spec.ts';
import { totalsOf, type Decided, type RuleState } from '../rule-state.ts';

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

/** What the totals lead to, in the form that other rules decide in; null where they do not. */
export function decideAtEnd(spec: MaxEfficacySpec, state: RuleState): Decided | null {
  const verdict = assessTotals(spec, state, 'end');
  const atMs = state.elapsedMs;
  if (verdict.kind === 'winner') return { kind: 'winner', version: verdict.winner, atMs };
  const control = controlOf(spec);
  return verdict.kind === 'keepBaseline' && control !== undefined
    ? { kind: 'keepBaseline', version: control, atMs }
    : null;
}
