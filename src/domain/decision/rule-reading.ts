import type { Block } from './block.ts';
import { EVERYONE, NOTHING } from './block.ts';
import type { ArmEvidence } from './decision.ts';
import { judge } from './judge.ts';
import { atClock, observe, withPulled } from './rule.ts';
import type { RuleSpec } from './rule-spec.ts';
import { NO_BLOCKS, type RuleState } from './rule-state.ts';
import type { RoutesNow } from './rules/anytime.ts';
import type { RuleVerdict } from './rule-verdict.ts';
import type { SourceProgress } from './source-progress.ts';

/** Where a rule stands between two readings: all that continue-as-new hands on, bit for bit. */
export interface RuleProgress {
  readonly state: RuleState;
  /** Number of the last block that is contained. */
  readonly after: number;
  /** Where outcomes are read elsewhere than at the gateways. */
  readonly source?: SourceProgress;
}

export interface BlockReading {
  readonly blocks: readonly (Block & { readonly number: number })[];
  /** Version → why it was pulled, as far as it is known now. */
  readonly pulled: Readonly<Record<string, string>>;
  /** The trial ends with this reading. */
  readonly isOver: boolean;
  /** Up to when the data are, by the trial's own clock, in milliseconds; absent in readings from before it was noted. */
  readonly clockMs?: number;
  /** Absent in runs that began before it was noted: nobody who returns is then taken to have been out. */
  readonly routes?: RoutesNow;
  /** What a person should know of the data, one sentence each. */
  readonly remarks?: readonly string[];
}

/** One reading more: its blocks, who was pulled, and the verdict. The same reading gives the same, bit for bit. */
export function readBlocks(
  spec: RuleSpec,
  before: RuleProgress,
  { blocks, pulled, isOver, clockMs = 0, routes, remarks }: BlockReading,
): { readonly progress: RuleProgress; readonly verdict: RuleVerdict } {
  const fresh = blocks.filter(({ number }) => number > before.after);
  const observed = fresh.reduce((state, block) => observe(spec, state, onlyArms(spec, block)), before.state);
  const state = withPulled(spec, atClock(spec, observed, clockMs), pulled, routes);
  const after = fresh.at(-1)?.number ?? before.after;
  return { progress: { ...before, state, after }, verdict: judge(spec, state, isOver, remarks) };
}

/** Gateways count whoever gets traffic; what takes no part (a baseline without a share) is no evidence. */
function onlyArms({ arms }: RuleSpec, block: Block): Block {
  const versions = new Set(arms.map(({ version }) => version));
  const groups = Object.fromEntries(
    Object.entries(block.groups).map(([group, counts]) => [
      group,
      Object.fromEntries(Object.entries(counts).filter(([version]) => versions.has(version))),
    ]),
  );
  return { ...block, groups };
}

/** The state of a rule that goes by ordinary counters: no blocks, only what was counted since the trial began. */
export function stateOfTotals(
  { cap = 1 }: Pick<RuleSpec, 'cap'>,
  arms: readonly ArmEvidence[],
  elapsedMs: number,
): RuleState {
  const sums: Record<string, { n: number; sum: number; squares: number }> = {};
  const uncapped: Record<string, number> = {};
  const pulled: Record<string, string> = {};
  for (const arm of arms) {
    const { sum, squares } = arm.capped ?? { sum: arm.volume / cap, squares: arm.volume / cap };
    sums[arm.version] = { ...NOTHING, n: arm.allocated, sum, squares };
    uncapped[arm.version] = arm.volume;
    if (arm.pulled !== undefined) pulled[arm.version] = arm.pulled;
  }
  return { ...NO_BLOCKS, elapsedMs, sums: { [EVERYONE]: sums }, uncapped, pulled };
}
