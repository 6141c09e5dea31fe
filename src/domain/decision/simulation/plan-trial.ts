import type { Plan } from '../../plan/schema.ts';
import { dealtGroups } from '../../policy/groups.ts';
import { ledWeights, type Lead } from '../../policy/leader.ts';
import type { Weights } from '../../policy/policy.ts';
import { controlOf, isBounded, type RuleSpec } from '../rule-spec.ts';
import { survivorsOf, type RuleState } from '../rule-state.ts';
import { leaderOf } from '../rules/shares.ts';
import { ruleSpecOf } from '../spec-of.ts';
import { drawAmounts } from './amounts.ts';
import { binomial, seededRandom, type Random } from './random.ts';
import { runTrial, type SyntheticResult, type SyntheticTrial } from './trial.ts';

/** Trials of a plan on traffic that is made up. */
export interface PlanSimulation {
  readonly plan: Plan;
  /** Efficacy of every arm in the order of the rule: the baseline first where it takes part; amounts per unit. */
  readonly rates: readonly number[];
  /** Requests or accounts per second of the whole service. */
  readonly trafficPerSecond: number;
  readonly runs: number;
  readonly seed: number;
  /** The trial ends after this time without a verdict, in milliseconds. */
  readonly horizonMs: number;
  /** Where groups are dealt apart: efficacies lie between (1 − spread) and (1 + spread) times `rates`, evenly. */
  readonly spread?: number;
}

export interface Spread {
  readonly mean: number;
  readonly median: number;
  /** 95 of 100 runs take at most this. */
  readonly p95: number;
}

export interface SimulatedArm {
  readonly version: string;
  readonly role: 'baseline' | 'candidate';
  readonly rate: number;
  /** Units that it got, on average. */
  readonly units: number;
  /** Share of the runs that chose it: won, was kept as equal, or kept as the baseline. */
  readonly chosen: number;
}

export interface SimulatedPlan {
  readonly runs: number;
  readonly seed: number;
  readonly arms: readonly SimulatedArm[];
  /** Share of the runs that chose a version more than epsilon worse than the best. */
  readonly wrong: number;
  /** Share of the runs that ended without a verdict. */
  readonly inconclusive: number;
  readonly units: number;
  /** Units on versions that are not the best, on average. */
  readonly exposed: number;
  readonly timeMs: Spread;
}

export function simulatePlan(simulation: PlanSimulation): SimulatedPlan {
  const { plan, rates, runs, seed } = simulation;
  const spec = ruleSpecOf(plan);
  const random = seededRandom(seed);
  const trial = trialOf(simulation, spec, random);
  const results = Array.from({ length: runs }, () => runTrial(trial, random));
  const best = Math.max(...rates);
  const epsilon = plan.decision.epsilon ?? 0;
  const share = (matches: (result: SyntheticResult) => boolean): number =>
    results.filter(matches).length / runs;
  const mean = (of: (result: SyntheticResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / runs;
  const arms = spec.arms.map((arm, i) => ({
    ...arm,
    rate: rates[i] ?? 0,
    units: mean(({ perArm }) => perArm[i] ?? 0),
    chosen: share(({ decided }) => decided?.version === arm.version),
  }));
  return {
    runs,
    seed,
    arms,
    wrong: arms.reduce((sum, { rate, chosen }) => sum + (rate < best - epsilon - 1e-12 ? chosen : 0), 0),
    inconclusive: share(({ decided }) => decided === null),
    units: mean(({ units }) => units),
    exposed: arms.reduce((sum, { rate, units }) => sum + (rate < best ? units : 0), 0),
    timeMs: spread(results.map(({ state }) => state.elapsedMs)),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return {
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    median: at(0.5),
    p95: at(0.95),
  };
}

/** Looks that one trial has at most, so that a simulation ends; rarer looks decide a little later. */
const MOST_LOOKS = 2000;

function trialOf(simulation: PlanSimulation, spec: RuleSpec, random: Random): SyntheticTrial {
  const { plan, rates, trafficPerSecond, horizonMs } = simulation;
  const blockMs = Math.max(plan.trial.readEveryMs, horizonMs / MOST_LOOKS);
  const allShares = (state: RuleState): Readonly<Record<string, number>> =>
    shareOfTraffic({ plan, spec }, state);
  return {
    spec,
    blockMs,
    maxUnits: Infinity,
    maxMs: horizonMs,
    unitsPerBlock: (state) => {
      const underTrial = Object.values(allShares(state)).reduce((sum, share) => sum + share, 0);
      return Math.max(1, Math.round(((trafficPerSecond * blockMs) / 1000) * underTrial));
    },
    sharesOf: (state) => normalised(allShares(state)),
    outcomes: (arm, n) => outcomeOf(plan, rates[arm] ?? 0, { n, random }),
    ...groupsOf(simulation, spec, random),
  };
}

/** Groups of the policy that are dealt apart, all as large as each other, for nothing is known of them. */
function groupsOf(
  { plan, rates, spread = 0 }: PlanSimulation,
  spec: RuleSpec,
  random: Random,
): Pick<SyntheticTrial, 'groups'> {
  const groups = dealtGroups(plan.traffic.policy);
  if (groups.length === 0) return {};
  return {
    groups: groups.map(({ name, weights }, g) => {
      const factor = groups.length === 1 ? 1 : 1 + spread * ((2 * g) / (groups.length - 1) - 1);
      return {
        name,
        share: 1 / groups.length,
        sharesOf: (state) => normalised(shareOfTraffic({ plan, spec, weights }, state)),
        outcomes: (arm, n) => outcomeOf(plan, (rates[arm] ?? 0) * factor, { n, random }),
      };
    }),
  };
}

const BUYERS = 0.1;
const SIGMA = 1.5;

function outcomeOf({ measure, decision }: Plan, rate: number, { n, random }: { n: number; random: Random }) {
  if (!isBounded({ volume: measure.volume.kind })) return { n, sum: binomial(random, n, rate) };
  const cap = decision.cap ?? Infinity;
  if (rate <= 0) return { n, sum: 0, squares: 0 };
  return drawAmounts(random, n, { buyers: BUYERS, mean: rate / BUYERS, sigma: SIGMA, cap });
}

/**
 * Share of the service's whole traffic that every arm gets. A stage sends its share of each candidate's keys there; the
 * rest, and what a version that was dropped had, stays on the baseline, which counts where it is an arm.
 */
function shareOfTraffic(
  {
    plan,
    spec,
    weights,
  }: {
    readonly plan: Plan;
    readonly spec: RuleSpec;
    /** Of the group in question; absent: as the policy as a whole deals. */
    readonly weights?: Weights;
  },
  state: RuleState,
): Readonly<Record<string, number>> {
  const control = controlOf(spec);
  const left = survivorsOf(spec, state).filter((version) => version !== control);
  const drawn = Math.min(stageShare(plan, state.elapsedMs), 1 - plan.trial.baselineShare);
  const dealt = policyShares(plan, weights);
  const lead = leadNow(spec, state, left);
  const wanted = lead === undefined ? dealt : ledWeights(dealt, lead);
  const kept = left.reduce((sum, version) => sum + (wanted[version] ?? 0), 0);
  const candidates = Object.fromEntries(
    left.map((version) => [version, kept > 0 ? (drawn * (wanted[version] ?? 0)) / kept : 0]),
  );
  if (control === undefined || !survivorsOf(spec, state).includes(control)) return candidates;
  return { [control]: 1 - Object.values(candidates).reduce((sum, share) => sum + share, 0), ...candidates };
}

/** Who is in front of the candidates that are left, where the plan gives a leader more. */
function leadNow(spec: RuleSpec, state: RuleState, left: readonly string[]): Lead | undefined {
  const share = spec.rule === 'anytime' ? spec.leaderShare : undefined;
  const leader = share === undefined ? undefined : leaderOf(spec, state, left);
  if (share === undefined || leader === undefined) return undefined;
  const candidates = spec.arms.flatMap(({ version, role }) => (role === 'candidate' ? [version] : []));
  return { leader, share, candidates, out: candidates.filter((version) => !left.includes(version)) };
}

function stageShare({ trial }: Plan, elapsedMs: number): number {
  let endMs = 0;
  for (const { share, lengthMs } of trial.stages) {
    endMs += lengthMs;
    if (elapsedMs < endMs) return share;
  }
  return trial.stages.at(-1)?.share ?? 1;
}

/** How the policy deals keys to the candidates: by weights, by digits; equally where only the keys would tell. */
function policyShares(
  { traffic: { policy }, candidates }: Plan,
  ofGroup?: Weights,
): Readonly<Record<string, number>> {
  const versions = candidates.map(({ version }) => version);
  const weightOf = (version: string): number => {
    if (ofGroup !== undefined) return ofGroup[version] ?? 0;
    switch (policy.kind) {
      case 'hash':
        return policy.weights[version] ?? 0;
      case 'tail':
        return policy.rules
          .filter(({ to }) => to === version)
          .reduce((sum, { tail }) => sum + (typeof tail === 'string' ? 5 : tail.length), 0);
      case 'range':
      case 'values':
        return 1;
    }
  };
  const weights = versions.map(weightOf);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Object.fromEntries(
    versions.map((version, i) => [version, total > 0 ? (weights[i] ?? 0) / total : 1 / versions.length]),
  );
}

function normalised(shares: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
  return Object.fromEntries(Object.entries(shares).map(([version, share]) => [version, share / total]));
}
