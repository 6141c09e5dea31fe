import type { ArmCounts } from '../block.ts';
import { binomial, normal, type Random } from './random.ts';

/** Amounts with a heavy tail: some units buy, for a lognormal amount. */
export interface Amounts {
  /** Share of the units that buy. */
  readonly buyers: number;
  /** Mean amount of those who buy. */
  readonly mean: number;
  /** Standard deviation of the amount's logarithm: 1 is uneven, 2 very much so. */
  readonly sigma: number;
  /** Above this an amount counts as this much. */
  readonly cap: number;
}

/** What `n` units bring, every amount drawn by itself: capped and divided by the cap, and as it was. */
export function drawAmounts(random: Random, n: number, { buyers, mean, sigma, cap }: Amounts): ArmCounts {
  const mu = Math.log(mean) - (sigma * sigma) / 2;
  const count = binomial(random, n, buyers);
  let sum = 0;
  let squares = 0;
  let uncapped = 0;
  for (let i = 0; i < count; i += 1) {
    const amount = Math.exp(mu + sigma * normal(random));
    const x = Math.min(1, amount / cap);
    uncapped += amount;
    sum += x;
    squares += x * x;
  }
  return { n, sum, squares, uncapped };
}
