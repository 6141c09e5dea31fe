import { EVERYONE, type ArmCounts, type Block } from '../block.ts';
import { isCollecting, judge } from '../judge.ts';
import { beginRule, observe } from '../rule.ts';
import type { RuleSpec } from '../rule-spec.ts';
import { totalsOf, type Decided, type RuleState } from '../rule-state.ts';
import type { RuleVerdict } from '../rule-verdict.ts';
import { nextShares } from '../rules/shares.ts';
import { binomial, type Random } from './random.ts';

/** Traffic that one run of a rule meets. */
export interface SyntheticTrial {
  readonly spec: RuleSpec;
  /** Units between two looks, over all versions. */
  readonly unitsPerBlock: number | ((state: RuleState) => number);
  /** Length of a block, in milliseconds. */
  readonly blockMs: number | ((state: RuleState) => number);
  /** The trial ends after this many units. */
  readonly maxUnits: number;
  /** ... or after this time. */
  readonly maxMs?: number;
  /** What `n` units of the version at this position of the plan bring, assigned after `before` units in all. */
  readonly outcomes: (arm: number, n: number, before: number) => ArmCounts;
  /** Shares of the versions by name; by default the rule's own. */
  readonly sharesOf?: (state: RuleState) => Readonly<Record<string, number>>;
  /** Units of every version in each block, where not chance deals them. */
  readonly dealt?: readonly number[];
  /** Groups that are dealt apart, instead of everybody by `sharesOf` and `outcomes`. */
  readonly groups?: readonly SyntheticGroup[] | ((state: RuleState) => readonly SyntheticGroup[]);
}

export interface SyntheticGroup {
  readonly name: string;
  /** Of the units of a block; those of all groups add up to 1. */
  readonly share: number;
  readonly sharesOf: (state: RuleState) => Readonly<Record<string, number>>;
  readonly outcomes: SyntheticTrial['outcomes'];
}

export interface SyntheticResult {
  /** By evidence; null: nothing. */
  readonly decided: Decided | null;
  /** What the rule says when the trial ends. */
  readonly verdict: RuleVerdict;
  readonly units: number;
  readonly blocks: number;
  /** Units of every version, in the plan's order. */
  readonly perArm: readonly number[];
  readonly state: RuleState;
}

/** One trial from its first unit to its verdict, which ends it as it ends a run's. Every unit falls to a version by chance, as a hashed key does. */
export function runTrial(trial: SyntheticTrial, random: Random): SyntheticResult {
  const { spec, unitsPerBlock, blockMs, maxUnits, maxMs = Infinity, outcomes } = trial;
  const sharesOf = trial.sharesOf ?? ((present: RuleState) => nextShares(spec, present));
  let state = beginRule(spec);
  let units = 0;
  while (units < maxUnits && state.elapsedMs < maxMs && isCollecting(spec, state)) {
    const size = Math.min(now(unitsPerBlock, state), maxUnits - units);
    const present = state;
    const groups: Record<string, Record<string, ArmCounts>> = {};
    const all = now(trial.groups ?? [{ name: EVERYONE, share: 1, sharesOf, outcomes }], present);
    const sizes =
      all.length === 1
        ? [size]
        : deal(
            all.map(({ share }) => share),
            size,
            random,
          );
    all.forEach((group, g) => {
      const shares = group.sharesOf(present);
      const mine = spec.arms.map(({ version }) => shares[version] ?? 0);
      const counts = trial.dealt ?? deal(mine, sizes[g] ?? 0, random);
      const arms: Record<string, ArmCounts> = {};
      spec.arms.forEach(({ version }, arm) => {
        const n = counts[arm] ?? 0;
        if (n > 0) arms[version] = group.outcomes(arm, n, units);
      });
      groups[group.name] = arms;
    });
    const fromMs = state.elapsedMs;
    const block: Block = { fromMs, toMs: fromMs + now(blockMs, state), groups };
    state = observe(spec, state, block);
    units += size;
  }
  const totals = totalsOf(state);
  return {
    decided: state.decided,
    verdict: judge(spec, state, true),
    units,
    blocks: state.blocks,
    perArm: spec.arms.map(({ version }) => totals[version]?.n ?? 0),
    state,
  };
}

function now<T extends number | readonly unknown[]>(
  value: T | ((state: RuleState) => T),
  state: RuleState,
): T {
  return typeof value === 'function' ? value(state) : value;
}

function deal(shares: readonly number[], size: number, random: Random): readonly number[] {
  let left = size;
  let share = 1;
  return shares.map((mine) => {
    const n = binomial(random, left, Math.min(1, share <= 0 ? 0 : mine / share));
    left -= n;
    share -= mine;
    return n;
  });
}

/** Outcomes that succeed with the rate of their version. */
export function successes(rates: readonly number[], random: Random): SyntheticTrial['outcomes'] {
  return (arm, n) => ({ n, sum: binomial(random, n, rates[arm] ?? 0) });
}
