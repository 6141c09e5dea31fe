import { blockBet, blockStakes } from '../../src/domain/decision/statistics/block-bet.ts';
import { binomial, seededRandom, type Random } from '../../src/domain/decision/simulation/random.ts';
import { lowerBound } from '../../src/domain/decision/statistics/lower-bound.ts';
import { DELTA, epsilonOf, type Margin, type Scenario } from './speed.ts';

/**
 * A bare version of the rule `anytime` with switches, to see what each idea is worth. All of them keep the promise:
 * stakes, centres, leaders and shares are set before the block that they are for.
 */
export interface Variant {
  readonly name: string;
  /** Multiples of ε (in standard deviations) that are bet for, with their shares of the capital. */
  readonly grid: readonly (readonly [multiple: number, weight: number])[];
  /** Units that the plan's expected rate counts as, so that the first block is bet on too; 0: it is not. */
  readonly priorUnits: number;
  /** `pair`: (K−1)/δ for a pair. `pooled`: the mean over all others. `leader`: bets of the arm in front alone. */
  readonly against: 'pair' | 'pooled' | 'leader';
  /** `equal` among those left; `tracking`: by the estimated gaps, each at least `floor`/K. */
  readonly shares: 'equal' | 'tracking';
  readonly floor: number;
  /** Standard errors by which gaps are taken smaller than they look. */
  readonly caution?: number;
  /** Looks per lower bound; undefined: the scenario's block. */
  readonly every?: number;
}

const UNIFORM = [1, 2, 4, 8, 16, 32].map((multiple) => [multiple, 1 / 6] as const);
const SPREAD = [
  [1.4, 0.3],
  [2.4, 0.4],
  [4, 0.15],
  [8, 0.08],
  [16, 0.05],
  [32, 0.02],
] as const;
const NARROW = [
  [1.5, 0.25],
  [2.5, 0.65],
  [6, 0.07],
  [16, 0.02],
  [32, 0.01],
] as const;
const FIRST: Omit<Variant, 'name'> = {
  grid: UNIFORM,
  priorUnits: 0,
  against: 'pair',
  shares: 'equal',
  floor: 0.2,
};
const ALL: Omit<Variant, 'name'> = { ...FIRST, grid: NARROW, priorUnits: 200, against: 'leader' };

/** What was tried, one idea after the other. */
export const VARIANTS: readonly Variant[] = [
  { ...FIRST, name: 'pairs at (K−1)/δ, even grid' },
  { ...FIRST, name: 'mean over the others', against: 'pooled' },
  { ...FIRST, name: 'bets of the leader', against: 'leader' },
  { ...FIRST, name: 'weights on 1.4 … 4 ε', grid: SPREAD },
  { ...FIRST, name: 'weights on 1.5 and 2.5 ε', grid: NARROW },
  { ...FIRST, name: 'first block by the expected rate', priorUnits: 200 },
  { ...ALL, name: 'narrow weights, expected rate, mean', against: 'pooled' },
  { ...ALL, name: '… and tracked shares', against: 'pooled', shares: 'tracking' },
  { ...ALL, name: '… and looks every 250', against: 'pooled', shares: 'tracking', every: 250 },
  { ...ALL, name: '… with bets of the leader', shares: 'tracking', every: 250 },
  { ...ALL, name: '… and without caution', shares: 'tracking', every: 250, caution: 0 },
];

export interface AttemptRow {
  readonly units: number;
  readonly inferior: number;
  readonly unitsRatio: number;
  readonly inferiorRatio: number;
  readonly wrong: number;
}

export function attempt(
  scenario: Scenario,
  margin: Margin,
  variant: Variant,
  { runs, seed }: { runs: number; seed: number },
): AttemptRow {
  const epsilon = epsilonOf(scenario, margin);
  const bound = lowerBound(scenario.rates, DELTA, epsilon);
  const random = seededRandom(seed);
  const best = Math.max(...scenario.rates);
  let units = 0;
  let inferior = 0;
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const trial = new Attempt(scenario, epsilon, variant, random);
    const chosen = trial.run(60 * bound.units);
    units += trial.units;
    inferior += trial.units - (trial.n[scenario.rates.indexOf(best)] ?? 0);
    if (chosen !== undefined && (scenario.rates[chosen] ?? 0) < best - epsilon - 1e-9) wrong += 1;
  }
  return {
    units: units / runs,
    inferior: inferior / runs,
    unitsRatio: units / runs / bound.units,
    inferiorRatio: inferior / runs / bound.leastInferior,
    wrong: wrong / runs,
  };
}

class Attempt {
  units = 0;
  readonly n: number[];
  readonly s: number[];
  private readonly rates: readonly number[];
  private readonly epsilon: number;
  private readonly variant: Variant;
  private readonly random: Random;
  private readonly every: number;
  private readonly rate0: number;
  private readonly effects: readonly number[];
  private readonly weights: readonly number[];
  /** ln e per ordered pair and effect: margin 0, margin −ε, and with the leader's bets. */
  private readonly strict: Float64Array;
  private readonly within: Float64Array;
  private readonly led: Float64Array;
  private alive: boolean[];

  constructor({ rates, every }: Scenario, epsilon: number, variant: Variant, random: Random) {
    this.rates = rates;
    this.epsilon = epsilon;
    this.variant = variant;
    this.random = random;
    this.every = variant.every ?? every;
    this.n = rates.map(() => 0);
    this.s = rates.map(() => 0);
    this.alive = rates.map(() => true);
    this.rate0 = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const sd = Math.sqrt(this.rate0 * (1 - this.rate0));
    this.effects = variant.grid.map(([multiple]) => Math.min(1.3, (multiple * epsilon) / sd));
    this.weights = variant.grid.map(([, weight]) => weight);
    const size = rates.length * rates.length * this.effects.length;
    this.strict = new Float64Array(size);
    this.within = new Float64Array(size);
    this.led = new Float64Array(size);
  }

  run(most: number): number | undefined {
    while (this.units < most) {
      const [n, s] = this.drawBlock();
      this.bet(n, s);
      n.forEach((each, i) => {
        this.n[i] = (this.n[i] ?? 0) + each;
        this.s[i] = (this.s[i] ?? 0) + (s[i] ?? 0);
      });
      this.units += this.every;
      const chosen = this.conclude();
      if (chosen !== undefined) return chosen;
    }
    return undefined;
  }

  private drawBlock(): [number[], number[]] {
    const shares = this.shares();
    let left = this.every;
    let share = 1;
    const n = shares.map((mine) => {
      const count = binomial(this.random, left, share <= 0 ? 0 : Math.min(1, mine / share));
      left -= count;
      share -= mine;
      return count;
    });
    return [n, n.map((each, i) => binomial(this.random, each, this.rates[i] ?? 0))];
  }

  private mean(i: number): number {
    return ((this.s[i] ?? 0) + this.rate0) / ((this.n[i] ?? 0) + 1);
  }

  private leaderBut(excluded: number): number {
    let leader = -1;
    this.alive.forEach((isAlive, i) => {
      if (isAlive && i !== excluded && (leader < 0 || this.mean(i) > this.mean(leader))) leader = i;
    });
    return leader;
  }

  private shares(): readonly number[] {
    const k = this.alive.filter(Boolean).length;
    const equal = this.alive.map((isAlive) => (isAlive ? 1 / k : 0));
    if (this.variant.shares === 'equal' || k < 3 || this.units === 0) return equal;
    const leader = this.leaderBut(-1);
    const gaps = this.alive.map((isAlive, i) => {
      if (!isAlive || i === leader) return 0;
      const p = this.rate0;
      const error = Math.sqrt(p * (1 - p) * (1 / ((this.n[i] ?? 0) + 1) + 1 / ((this.n[leader] ?? 0) + 1)));
      return (
        Math.max(0, this.mean(leader) - this.mean(i) - (this.variant.caution ?? 1) * error) + this.epsilon
      );
    });
    const squares = gaps.map((gap) => gap * gap);
    const limit = Math.min(...squares.filter((square) => square > 0));
    let bestCost = Infinity;
    let units = equal;
    for (let step = 1; step < 40; step += 1) {
      const y = (limit * step) / 40;
      const each = squares.map((square, i) => (i === leader ? 1 : square > 0 ? y / (square - y) : 0));
      const sum = each.reduce((total, x) => total + x, 0);
      if (sum / y < bestCost) {
        bestCost = sum / y;
        units = each.map((x) => x / sum);
      }
    }
    const floor = this.variant.floor / k;
    return units.map((share, i) => (this.alive[i] === true ? floor + (1 - floor * k) * share : 0));
  }

  /** The leader's bets against `b`, credited to each `a`: its own with margin −ε, those of others strictly. */
  private bet(n: readonly number[], s: readonly number[]): void {
    const k = n.length;
    const grid = this.effects.length;
    for (let b = 0; b < k; b += 1) {
      const leader = this.leaderBut(b);
      for (let a = 0; a < k; a += 1) {
        if (a === b) continue;
        this.betPair(a, b, n, s);
      }
      if (leader < 0 || (n[leader] ?? 0) === 0 || (n[b] ?? 0) === 0) continue;
      for (let h = 0; h < grid; h += 1) {
        const [strict, within] = this.brought[(leader * k + b) * grid + h] ?? [0, 0];
        for (let a = 0; a < k; a += 1) {
          const at = (a * k + b) * grid + h;
          if (a !== b) this.led[at] = (this.led[at] ?? 0) + (a === leader ? within : strict);
        }
        // On the diagonal: strict all the way, for dropping.
        const own = (b * k + b) * grid + h;
        this.led[own] = (this.led[own] ?? 0) + strict;
      }
    }
  }

  private readonly brought: [number, number][] = [];

  private betPair(a: number, b: number, n: readonly number[], s: readonly number[]): void {
    const k = n.length;
    const grid = this.effects.length;
    const [na = 0, nb = 0, sa = 0, sb = 0] = [n[a], n[b], s[a], s[b]];
    const earlier = (this.n[a] ?? 0) + (this.n[b] ?? 0);
    const prior = this.variant.priorUnits;
    const skip = na === 0 || nb === 0 || (earlier === 0 && prior === 0);
    const centre =
      prior > 0
        ? ((this.s[a] ?? 0) + (this.s[b] ?? 0) + prior * this.rate0) / (earlier + prior)
        : ((this.s[a] ?? 0) + (this.s[b] ?? 0) + 0.5) / (earlier + 1);
    for (let h = 0; h < grid; h += 1) {
      const at = (a * k + b) * grid + h;
      if (skip) {
        this.brought[at] = [0, 0];
        continue;
      }
      const stakes = blockStakes(na, nb, centre, this.effects[h] ?? 0);
      const strict = blockBet({ na, sa, nb, sb }, stakes, centre, 0);
      const within = blockBet({ na, sa, nb, sb }, stakes, centre, -this.epsilon);
      this.brought[at] = [strict, within];
      this.strict[at] = (this.strict[at] ?? 0) + strict;
      this.within[at] = (this.within[at] ?? 0) + within;
    }
  }

  private mixed(of: Float64Array, a: number, b: number): number {
    const grid = this.effects.length;
    const from = (a * this.n.length + b) * grid;
    let sum = 0;
    for (let h = 0; h < grid; h += 1) sum += (this.weights[h] ?? 0) * Math.exp(of[from + h] ?? 0);
    return sum;
  }

  /** Evidence of any kind that `b` is not the best; with `a`, that `a` is at most ε worse. In units of 1/δ. */
  private against(b: number, a?: number): number {
    const others = this.n.map((_, x) => x).filter((x) => x !== b);
    switch (this.variant.against) {
      case 'leader':
        return this.mixed(this.led, a ?? b, b);
      case 'pair': {
        const strict = Math.max(
          ...(a === undefined ? others : [a]).map((x) => this.mixed(this.strict, x, b)),
        );
        return Math.max(strict, a === undefined ? 0 : this.mixed(this.within, a, b)) / others.length;
      }
      case 'pooled':
        return (
          others.reduce((sum, x) => sum + this.mixed(x === a ? this.within : this.strict, x, b), 0) /
          others.length
        );
    }
  }

  private conclude(): number | undefined {
    this.alive = this.alive.map((isAlive, b) => isAlive && this.against(b) < 1 / DELTA);
    const left = this.n.map((_, i) => i).filter((i) => this.alive[i]);
    return left.find((a) => left.every((b) => b === a || this.against(b, a) >= 1 / DELTA));
  }
}
