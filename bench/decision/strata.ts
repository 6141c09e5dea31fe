import { EVERYONE, type ArmCounts } from '../../src/domain/decision/block.ts';
import { beginRule, observe } from '../../src/domain/decision/rule.ts';
import { leaderOf } from '../../src/domain/decision/rules/shares.ts';
import type { RuleState } from '../../src/domain/decision/rule-state.ts';
import { effectGrid, type AnytimeSpec } from '../../src/domain/decision/rule-spec.ts';
import { binomial, seededRandom, type Random } from '../../src/domain/decision/simulation/random.ts';
import {
  runTrial,
  type SyntheticGroup,
  type SyntheticTrial,
} from '../../src/domain/decision/simulation/trial.ts';
import { ledWeights } from '../../src/domain/policy/leader.ts';
import type { Weights } from '../../src/domain/policy/policy.ts';
import type { ErrorRow } from './error-rates.ts';

/** Groups of customers with very different rates, which are dealt to two versions in very different shares. */

interface Effort {
  readonly runs: number;
  readonly seed: number;
}

const HORIZON = 100_000;
const UNITS_PER_BLOCK = 500;
const GROUPS = [
  { name: 'young', rate: 0.03, share: 0.5, first: 0.9 },
  { name: 'middle', rate: 0.2, share: 0.3, first: 0.5 },
  { name: 'old', rate: 0.6, share: 0.2, first: 0.1 },
];

function specWith(epsilon: number): AnytimeSpec {
  return {
    rule: 'anytime',
    arms: ['v0', 'v1'].map((version) => ({ version, role: 'candidate' })),
    volume: 'successes',
    comparison: 'stratified',
    unit: 'account',
    delta: 0.05,
    epsilon,
    grid: effectGrid(epsilon, epsilon > 0 ? 0.2 : undefined),
  };
}

/**
 * @param ahead - by how much v0 is better in each group
 * @param sharesNow - of the versions in a group that is dealt by these weights
 */
function groupsOf(
  random: Random,
  ahead = 0,
  sharesNow: (weights: Weights, state: RuleState) => Weights = (weights) => weights,
): SyntheticGroup[] {
  return GROUPS.map(({ name, rate, share, first }) => ({
    name,
    share,
    sharesOf: (state) => sharesNow({ v0: first, v1: 1 - first }, state),
    outcomes: (arm, n) => ({ n, sum: binomial(random, n, rate + (arm === 0 ? ahead : 0)) }),
  }));
}

function trialOf(spec: AnytimeSpec, groups: readonly SyntheticGroup[]): SyntheticTrial {
  const outcomes = (): never => {
    throw new Error('groups have outcomes of their own');
  };
  return { spec, unitsPerBlock: UNITS_PER_BLOCK, blockMs: 1, maxUnits: HORIZON, outcomes, groups };
}

/** Versions that do not differ: compared group by group, or by sums over all groups. */
export function alikeInGroups(by: 'group' | 'sums', { runs, seed }: Effort): ErrorRow {
  const spec = specWith(0);
  const random = seededRandom(seed);
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const groups = groupsOf(random);
    const isNamed = by === 'group' ? runTrial(trialOf(spec, groups), random).decided !== null : pooled();
    if (isNamed) wrong += 1;

    function pooled(): boolean {
      let state = beginRule(spec);
      for (let units = 0; units < HORIZON && state.decided === null; units += UNITS_PER_BLOCK) {
        const sums: Record<string, { n: number; sum: number }> = {
          v0: { n: 0, sum: 0 },
          v1: { n: 0, sum: 0 },
        };
        for (const { share, sharesOf, outcomes } of groups) {
          spec.arms.forEach(({ version }, arm) => {
            const n = Math.round(UNITS_PER_BLOCK * share * (sharesOf(state)[version] ?? 0));
            const counts: ArmCounts = outcomes(arm, n, units);
            const all = sums[version];
            if (all === undefined) return;
            all.n += counts.n;
            all.sum += counts.sum;
          });
        }
        state = observe(spec, state, { fromMs: units, toMs: units, groups: { [EVERYONE]: sums } });
      }
      return state.decided !== null;
    }
  }
  const promised = by === 'group' ? 0.1 : Number.NaN;
  return {
    what: `same arms, three groups dealt differently, compared by ${by}`,
    wrong: wrong / runs,
    promised,
  };
}

/**
 * The better version ahead by exactly ε in each group: the other one chosen is as near to wrong as it gets.
 *
 * @param leaderShare - of each group, for the version in front of all groups together
 */
export function leastFavourableInGroups({ runs, seed }: Effort, leaderShare?: number): ErrorRow {
  const epsilon = 0.02;
  const spec = specWith(epsilon);
  const candidates = spec.arms.map(({ version }) => version);
  const sharesNow = (weights: Weights, state: RuleState): Weights => {
    const leader = leaderOf(spec, state);
    if (leaderShare === undefined || leader === undefined) return weights;
    return ledWeights(weights, { leader, share: leaderShare, candidates, out: [] });
  };
  const random = seededRandom(seed);
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const groups = groupsOf(random, epsilon + 1e-9, sharesNow);
    const { decided } = runTrial(trialOf(spec, groups), random);
    if (decided !== null && decided.version !== 'v0') wrong += 1;
  }
  const shares = leaderShare === undefined ? '' : `, leader's share ${leaderShare}`;
  return {
    what: `three groups dealt differently, the other arm ε worse${shares}`,
    wrong: wrong / runs,
    promised: 0.05,
  };
}
