import type { ArmCounts, Block } from './block.ts';
import { EVERYONE, NOTHING } from './block.ts';
import type { ArmEvidence } from './decision.ts';
import { judge } from './judge.ts';
import { sourceBlock, type MetricsReading } from './source-block.ts';
import { observe, withPulled } from './rule.ts';
import type { RuleSpec } from './rule-spec.ts';
import { NO_BLOCKS, type RuleState } from './rule-state.ts';
import type { RuleVerdict } from './rule-verdict.ts';

/** Where a rule stands between two readings: all that continue-as-new hands on, bit for bit. */
export interface RuleProgress {
  readonly state: RuleState;
  /** Number of the last block that is contained. */
  readonly after: number;
  /** Where outcomes are read elsewhere than at the gateways: what was read last, since when. */
  readonly source?: { readonly since: string; readonly last: MetricsReading };
}

export interface BlockReading {
  readonly blocks: readonly (Block & { readonly number: number })[];
  /** Version → why it was pulled, as far as it is known now. */
  readonly pulled: Readonly<Record<string, string>>;
  /** The trial ends with this reading. */
  readonly isOver: boolean;
}

/** One reading more: its blocks, who was pulled, and the verdict. The same reading gives the same, bit for bit. */
export function readBlocks(
  spec: RuleSpec,
  before: RuleProgress,
  { blocks, pulled, isOver }: BlockReading,
): { readonly progress: RuleProgress; readonly verdict: RuleVerdict } {
  const fresh = blocks.filter(({ number }) => number > before.after);
  const observed = fresh.reduce((state, block) => observe(spec, state, onlyArms(spec, block)), before.state);
  const state = withPulled(spec, observed, pulled);
  const after = fresh.at(-1)?.number ?? before.after;
  return { progress: { ...before, state, after }, verdict: judge(spec, state, isOver) };
}

/** The stretch since the last reading of a source as a block; none while it waits for more. */
export function blocksOfSource(
  before: RuleProgress,
  now: MetricsReading,
  since: string,
): Pick<BlockReading, 'blocks'> & { readonly source: NonNullable<RuleProgress['source']> } {
  const last = before.source?.last ?? nothingYet(now, since);
  const stretch = sourceBlock(last, now, { since });
  return stretch.kind === 'wait'
    ? { blocks: [], source: { since, last } }
    : { blocks: [{ ...stretch.block, number: before.after + 1 }], source: { since, last: now } };
}

function nothingYet({ arms }: MetricsReading, since: string): MetricsReading {
  const none: Record<string, ArmCounts> = {};
  for (const [version, { squares, uncapped }] of Object.entries(arms)) {
    none[version] = {
      n: 0,
      sum: 0,
      ...(squares === undefined ? {} : { squares: 0 }),
      ...(uncapped === undefined ? {} : { uncapped: 0 }),
    };
  }
  return { at: since, arms: none, notes: [] };
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
  let units = 0;
  for (const arm of arms) {
    const sum = arm.volume / cap;
    sums[arm.version] = { ...NOTHING, n: arm.allocated, sum, squares: sum };
    uncapped[arm.version] = arm.volume;
    units += arm.allocated;
    if (arm.pulled !== undefined) pulled[arm.version] = arm.pulled;
  }
  const unitsPerMs = elapsedMs > 0 ? units / elapsedMs : 0;
  return { ...NO_BLOCKS, elapsedMs, unitsPerMs, sums: { [EVERYONE]: sums }, uncapped, pulled };
}
