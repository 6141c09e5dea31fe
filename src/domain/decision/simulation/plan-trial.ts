import type { Plan } from '../../plan/schema.ts';
import { isAaTest, isBounded, withoutDeadline, type RuleSpec } from '../rule-spec.ts';
import type { RuleState } from '../rule-state.ts';
import type { InconclusiveReason, RuleVerdict } from '../rule-verdict.ts';
import { ruleSpecOf } from '../spec-of.ts';
import { drawAmounts } from './amounts.ts';
import { binomial, seededRandom, type Random } from './random.ts';
import { normalised, simulatedRoutes, stageAt, sumOf } from './routes.ts';
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
  /** The trial ends after this time whatever it has shown, in milliseconds. */
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
  readonly horizonMs: number;
  readonly arms: readonly SimulatedArm[];
  /**
   * Share of the runs that chose what the rule promises against: a version more than epsilon worse than the best; where a
   * candidate need not beat the baseline, one that is worse than it by more than the margin, or by more than epsilon than a
   * candidate that is no worse than the baseline.
   */
  readonly wrong: number;
  /** Share of the runs that ended without a verdict. */
  readonly inconclusive: number;
  /** ... by why they did. */
  readonly reasons: Readonly<Partial<Record<InconclusiveReason, number>>>;
  /** Share of the runs that said that the data cannot be trusted: an A/A test that found a difference. */
  readonly alarms: number;
  readonly units: number;
  /** Units on versions that are not the best, on average. */
  readonly exposed: number;
  /** How long a trial takes, with a verdict or without one. */
  readonly timeMs: Spread;
  /** ... until its verdict, of those that have one; null: none has. */
  readonly verdictMs: Spread | null;
}

export function simulatePlan(simulation: PlanSimulation): SimulatedPlan {
  const { plan, rates, runs, seed, horizonMs } = simulation;
  const spec = withoutDeadline(ruleSpecOf(plan));
  const random = seededRandom(seed);
  const results = Array.from({ length: runs }, () => runTrial(trialOf(simulation, spec, random), random));
  const best = Math.max(...rates);
  const least = leastPromised(plan, spec, rates);
  const share = (matches: (result: SyntheticResult) => boolean): number =>
    results.filter(matches).length / runs;
  const mean = (of: (result: SyntheticResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0) / runs;
  const verdicts = results.filter((result) => !isOpen(result));
  const arms = spec.arms.map((arm, i) => ({
    ...arm,
    rate: rates[i] ?? 0,
    units: mean(({ perArm }) => perArm[i] ?? 0),
    chosen: share(({ verdict }) => chosenBy(spec, verdict) === arm.version),
  }));
  return {
    runs,
    seed,
    horizonMs,
    arms,
    wrong: arms.reduce((sum, { role, rate, chosen }) => sum + (rate < least[role] - 1e-12 ? chosen : 0), 0),
    inconclusive: share(isOpen),
    reasons: reasonsOf(results),
    alarms: share(({ verdict }) => verdict.kind === 'untrustedData'),
    units: mean(({ units }) => units),
    exposed: arms.reduce((sum, { rate, units }) => sum + (rate < best ? units : 0), 0),
    timeMs: spread(timesOf(results)),
    verdictMs: verdicts.length === 0 ? null : spread(timesOf(verdicts)),
  };
}

/** The efficacy below which a choice breaks what the rule promises, by the role of who is chosen. */
function leastPromised(
  { decision: { epsilon = 0, nonInferiority } }: Plan,
  { arms }: RuleSpec,
  rates: readonly number[],
): Readonly<Record<SimulatedArm['role'], number>> {
  const of = (role: SimulatedArm['role']): readonly number[] =>
    rates.filter((_, i) => arms[i]?.role === role);
  const bound = Math.max(...rates) - epsilon;
  const [control] = of('baseline');
  if (nonInferiority === undefined || control === undefined) return { baseline: bound, candidate: bound };
  const inferior = control - nonInferiority;
  const isCandidateBest = Math.max(...of('candidate')) >= control;
  // The promise is about promoting; and among candidates only where one of them is no worse than the baseline.
  return { baseline: -Infinity, candidate: isCandidateBest ? Math.max(inferior, bound) : inferior };
}

function timesOf(results: readonly SyntheticResult[]): readonly number[] {
  return results.map(({ state }) => state.elapsedMs);
}

/** Without a verdict the operator is asked. */
function isOpen({ verdict }: SyntheticResult): boolean {
  return verdict.kind === 'inconclusive';
}

function reasonsOf(results: readonly SyntheticResult[]): SimulatedPlan['reasons'] {
  const reasons: Partial<Record<InconclusiveReason, number>> = {};
  for (const { verdict } of results) {
    if (verdict.kind !== 'inconclusive') continue;
    reasons[verdict.reason] = (reasons[verdict.reason] ?? 0) + 1 / results.length;
  }
  return reasons;
}

/** The version that a run would go on with; an A/A test is about the measuring, and chooses none. */
function chosenBy(spec: RuleSpec, verdict: RuleVerdict): string | undefined {
  if (isAaTest(spec)) return undefined;
  switch (verdict.kind) {
    case 'winner':
      return verdict.winner;
    case 'equivalent':
      return verdict.keep;
    case 'keepBaseline':
      return verdict.baseline;
    case 'collecting':
    case 'inconclusive':
    case 'pulled':
    case 'untrustedData':
      return undefined;
  }
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

/** One trial: routes that change with it are its own. */
function trialOf(
  { plan, rates, trafficPerSecond, horizonMs, spread = 0 }: PlanSimulation,
  spec: RuleSpec,
  random: Random,
): SyntheticTrial {
  // What decides by its totals alone is looked at where shares change.
  const lookMs =
    spec.rule === 'max-efficacy'
      ? Infinity
      : Math.max(plan.trial.readEveryMs, Math.ceil(horizonMs / MOST_LOOKS));
  const blockMs = ({ elapsedMs }: RuleState): number =>
    Math.min(lookMs, stageAt(plan, elapsedMs).endMs - elapsedMs, horizonMs - elapsedMs);
  const { dealt, partsOf } = simulatedRoutes(plan, spec);
  const counted = (state: RuleState): number =>
    dealt.reduce((sum, each) => sum + sumOf(partsOf(each, state)), 0);
  const outcomesIn = (group: number): SyntheticTrial['outcomes'] => {
    const factor = dealt.length === 1 ? 1 : 1 + spread * ((2 * group) / (dealt.length - 1) - 1);
    return (arm, n) => outcomeOf(plan, (rates[arm] ?? 0) * factor, { n, random });
  };
  return {
    spec,
    blockMs,
    maxUnits: Infinity,
    maxMs: horizonMs,
    unitsPerBlock: (state) =>
      Math.max(1, Math.round(((trafficPerSecond * blockMs(state)) / 1000) * counted(state))),
    outcomes: outcomesIn(0),
    groups: (state) =>
      dealt.map((each, g) => {
        const parts = partsOf(each, state);
        return {
          name: each.name,
          share: sumOf(parts) / counted(state),
          sharesOf: () => normalised(parts),
          outcomes: outcomesIn(g),
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
