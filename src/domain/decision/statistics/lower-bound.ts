import { divergence } from './special-functions.ts';

/**
 * How many units any rule needs at least, on average, to name the best of several arms with error ≤ delta (Garivier
 * and Kaufmann, COLT 2016, theorem 1; with a margin: Sequential Analysis 40, 2021). Rates are shares of successes.
 */
export interface LowerBound {
  /** Units in all, at the best possible shares. */
  readonly units: number;
  /** Those shares, in the order of the rates. */
  readonly shares: readonly number[];
  /** Units on arms that are not the best, at those shares. */
  readonly inferior: number;
  /** The least that any shares could put on inferior arms. */
  readonly leastInferior: number;
  /** 1/T*: units = T*·kl(delta, 1−delta). */
  readonly characteristicTime: number;
}

/** `epsilon`: an arm that is worse by at most this is as good an answer. Rates with one strict best. */
export function lowerBound(rates: readonly number[], delta: number, epsilon = 0): LowerBound {
  const bestIndex = rates.indexOf(Math.max(...rates));
  const best = rates[bestIndex] ?? 0;
  const others = rates.filter((_, i) => i !== bestIndex);
  const price = divergence(delta, 1 - delta);
  // Per unit of the best arm and x_a units of the others: all alternatives are equally far, at y.
  const furthest = Math.min(...others.map((rate) => divergence(best, Math.max(0, rate - epsilon))));
  const cost = (y: number): number =>
    (1 + others.reduce((sum, rate) => sum + unitsFor({ best, rate, epsilon }, y), 0)) / y;
  const y = minimise(cost, Math.min(furthest, 1e3) * (1 - 1e-12));
  const perBest = others.map((rate) => unitsFor({ best, rate, epsilon }, y));
  const sum = 1 + perBest.reduce((total, x) => total + x, 0);
  const characteristicTime = sum / y;
  const units = characteristicTime * price;
  const shares = [...perBest.map((x) => x / sum)];
  shares.splice(bestIndex, 0, 1 / sum);
  return {
    units,
    shares,
    inferior: units * (1 - 1 / sum),
    leastInferior: others.reduce((total, rate) => total + price / divergence(rate, best + epsilon), 0),
    characteristicTime,
  };
}

/** The same at equal shares for all arms to the end. */
export function uniformLowerBound(rates: readonly number[], delta: number, epsilon = 0): number {
  const bestIndex = rates.indexOf(Math.max(...rates));
  const best = rates[bestIndex] ?? 0;
  const nearest = Math.min(
    ...rates.filter((_, i) => i !== bestIndex).map((rate) => distance({ best, rate, epsilon }, 1)),
  );
  return (rates.length * divergence(delta, 1 - delta)) / nearest;
}

interface Gap {
  readonly best: number;
  readonly rate: number;
  readonly epsilon: number;
}

/** min over x of d(best, x) + units·d(rate, x+ε): how far the nearest world is in which `rate` is better by ε. */
function distance({ best, rate, epsilon }: Gap, units: number): number {
  const at = (x: number): number => divergence(best, x) + units * divergence(rate, x + epsilon);
  const x = golden(at, Math.max(1e-12, rate - epsilon), Math.min(best, 1 - epsilon - 1e-12));
  return at(x);
}

/** Units of the other arm, per unit of the best, at which that world is `y` away. */
function unitsFor(gap: Gap, y: number): number {
  let low = 0;
  let high = 1;
  while (distance(gap, high) < y && high < 1e9) high *= 2;
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (distance(gap, middle) < y) low = middle;
    else high = middle;
  }
  return high;
}

/** The minimum of a function with one valley on (0, end), also where the valley is near either edge. */
function minimise(f: (y: number) => number, end: number): number {
  return golden(f, end * 1e-6, end);
}

const RATIO = (Math.sqrt(5) - 1) / 2;

function golden(f: (x: number) => number, from: number, to: number): number {
  let low = from;
  let high = to;
  let left = high - RATIO * (high - low);
  let right = low + RATIO * (high - low);
  let atLeft = f(left);
  let atRight = f(right);
  for (let i = 0; i < 70; i += 1) {
    if (atLeft < atRight) {
      high = right;
      right = left;
      atRight = atLeft;
      left = high - RATIO * (high - low);
      atLeft = f(left);
    } else {
      low = left;
      left = right;
      atLeft = atRight;
      right = low + RATIO * (high - low);
      atRight = f(right);
    }
  }
  return (low + high) / 2;
}
