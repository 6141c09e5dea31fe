import { effectGrid, type AnytimeSpec } from '../../src/domain/decision/rule-spec.ts';
import { seededRandom } from '../../src/domain/decision/simulation/random.ts';
import { runTrial, successes } from '../../src/domain/decision/simulation/trial.ts';
import { lowerBound } from '../../src/domain/decision/statistics/lower-bound.ts';

/** How many units it takes to find the best version, and how many of them go to others. */

export interface Scenario {
  readonly name: string;
  readonly rates: readonly number[];
  /** Units between two looks. */
  readonly every: number;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'A', rates: [0.8, 0.3], every: 4 },
  { name: 'B', rates: [0.11, 0.1], every: 1000 },
  { name: 'C', rates: [0.11, 0.105, 0.1], every: 2000 },
  { name: 'D', rates: [0.55, 0.54, 0.52, 0.5], every: 2000 },
];

export const MARGINS = ['0', 'gap/2', 'gap'] as const;
export type Margin = (typeof MARGINS)[number];

export interface SpeedRow {
  readonly scenario: string;
  readonly margin: Margin;
  readonly epsilon: number;
  readonly units: number;
  readonly inferior: number;
  readonly unitsRatio: number;
  readonly inferiorRatio: number;
  /** Share of runs that chose a version more than ε worse than the best, and that chose none. */
  readonly wrong: number;
  readonly notBest: number;
  readonly open: number;
  readonly bound: number;
}

/** Mean units of the method as it was first measured: uniform shares, pairs at (K−1)/δ, an even grid. */
export const PUBLISHED: Readonly<Record<string, Readonly<Record<Margin, number>>>> = {
  A: { '0': 62, 'gap/2': 31, gap: 24 },
  B: { '0': 36_073, 'gap/2': 16_179, gap: 9_934 },
  C: { '0': 187_873, 'gap/2': 90_120, gap: 58_299 },
  D: { '0': 129_936, 'gap/2': 61_499, gap: 39_815 },
};

export const DELTA = 0.05;

export function specFor(scenario: Scenario, epsilon: number, more: Partial<AnytimeSpec> = {}): AnytimeSpec {
  const mean = scenario.rates.reduce((sum, rate) => sum + rate, 0) / scenario.rates.length;
  return {
    rule: 'anytime',
    arms: scenario.rates.map((_, i) => ({ version: `v${i}`, role: 'candidate' })),
    volume: 'successes',
    comparison: 'random',
    unit: 'request',
    delta: DELTA,
    epsilon,
    grid: effectGrid(epsilon, mean),
    ...(epsilon > 0 ? { expectedRate: mean } : {}),
    ...more,
  };
}

export function epsilonOf({ rates }: Scenario, margin: Margin): number {
  const [best = 0, second = 0] = [...rates].sort((a, b) => b - a);
  const gap = best - second;
  return margin === '0' ? 0 : margin === 'gap' ? gap : gap / 2;
}

/** Where the versions stand in the plan says nothing: they are shuffled in every run. */
export function measureSpeed(
  scenario: Scenario,
  margin: Margin,
  { runs, seed, more = {} }: { runs: number; seed: number; more?: Partial<AnytimeSpec> },
): SpeedRow {
  const epsilon = epsilonOf(scenario, margin);
  const spec = specFor(scenario, epsilon, more);
  const bound = lowerBound(scenario.rates, DELTA, epsilon);
  const best = Math.max(...scenario.rates);
  const random = seededRandom(seed);
  let units = 0;
  let inferior = 0;
  let wrong = 0;
  let open = 0;
  let notBest = 0;
  for (let run = 0; run < runs; run += 1) {
    const rates = shuffled(scenario.rates, random);
    const result = runTrial(
      {
        spec,
        unitsPerBlock: scenario.every,
        blockMs: 1000,
        maxUnits: 60 * bound.units,
        outcomes: successes(rates, random),
      },
      random,
    );
    units += result.units;
    inferior += result.units - (result.perArm[rates.indexOf(best)] ?? 0);
    const chosen = result.decided === null ? undefined : rates[Number(result.decided.version.slice(1))];
    if (chosen === undefined) open += 1;
    else if (chosen < best) {
      notBest += 1;
      if (chosen < best - epsilon - 1e-9) wrong += 1;
    }
  }
  return {
    scenario: scenario.name,
    margin,
    epsilon,
    units: units / runs,
    inferior: inferior / runs,
    unitsRatio: units / runs / bound.units,
    inferiorRatio: inferior / runs / bound.leastInferior,
    wrong: wrong / runs,
    notBest: notBest / runs,
    open: open / runs,
    bound: bound.units,
  };
}

function shuffled(rates: readonly number[], random: () => number): number[] {
  const left = [...rates];
  return rates.map(() => left.splice(Math.floor(random() * left.length), 1)[0] ?? 0);
}
