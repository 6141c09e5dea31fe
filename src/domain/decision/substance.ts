import type { AnyVerdict } from '../upgrade/results.ts';
import type { RuleProgress } from './rule-reading.ts';

/**
 * What a verdict decides, and the numbers that it rests on. How it is told (its sentence, notes, intervals, what is still
 * missing) changes from release to release; this does not, or an auditor has to be told.
 */
export function substanceOf(verdict: AnyVerdict): unknown {
  const { kind, arms } = verdict;
  return {
    kind,
    winner: field(verdict, 'winner'),
    keep: field(verdict, 'keep'),
    among: field(verdict, 'among'),
    baseline: field(verdict, 'baseline'),
    leader: field(verdict, 'leader'),
    reason: field(verdict, 'reason'),
    arms: arms.map((arm) => ({
      version: arm.version,
      role: arm.role,
      units: field(arm, 'units') ?? field(arm, 'allocated'),
      volume: arm.volume,
      efficacy: arm.efficacy,
      pulled: field(arm, 'pulled') !== undefined,
      out: whyOut(arm),
    })),
  };
}

function field(of: object, name: string): unknown {
  return name in of ? (of as Readonly<Record<string, unknown>>)[name] : undefined;
}

function whyOut(arm: AnyVerdict['arms'][number]): string | undefined {
  return 'out' in arm ? arm.out.why : undefined;
}

/** What a verdict's rule has seen and shown: with the next blocks it comes to the same, whatever else it notes. */
export function evidenceIn(verdict: AnyVerdict, progress: RuleProgress | undefined): unknown {
  return {
    comparisons: 'comparisons' in verdict ? verdict.comparisons : undefined,
    progress: progress === undefined ? undefined : ofProgress(progress),
  };
}

function ofProgress({ state, after }: RuleProgress): unknown {
  const { blocks, elapsedMs, sums, uncapped, pulled, pairs, dropped, returned, unchecked, decided } = state;
  return {
    after,
    ...{ blocks, elapsedMs, sums, uncapped, pulled, pairs, dropped, decided },
    returned: returned ?? {},
    unchecked: unchecked === true,
    look: state.look,
    lookGroups: state.lookGroups,
    sampleRatio: state.sampleRatio,
    alarm: state.alarm,
  };
}
