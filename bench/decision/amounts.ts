import { effectGrid, type AnytimeSpec } from '../../src/domain/decision/rule-spec.ts';
import { seededRandom, type Random } from '../../src/domain/decision/simulation/random.ts';
import { drawAmounts } from '../../src/domain/decision/simulation/amounts.ts';
import { runTrial } from '../../src/domain/decision/simulation/trial.ts';
import type { ArmCounts } from '../../src/domain/decision/block.ts';
import type { ErrorRow } from './error-rates.ts';

/** Amounts with a heavy tail: one unit in ten buys, for a lognormal amount with mean 100, capped at a high quantile. */

const BUYERS = 0.1;
const MEAN = 100;
/** 99.5 % quantile of the standard normal distribution. */
const CAP_AT = 2.5758;

export function capFor(sigma: number): number {
  return Math.exp(Math.log(MEAN) - (sigma * sigma) / 2 + sigma * CAP_AT);
}

function counted(random: Random, n: number, sigma: number, factor: number): ArmCounts {
  return drawAmounts(random, n, { buyers: BUYERS, mean: factor * MEAN, sigma, cap: capFor(sigma) });
}

const SPEC: AnytimeSpec = {
  rule: 'anytime',
  arms: ['v0', 'v1'].map((version) => ({ version, role: 'candidate' })),
  volume: 'amount',
  comparison: 'random',
  unit: 'request',
  delta: 0.05,
  epsilon: 0,
  grid: effectGrid(0, undefined),
};

/** The same amounts on both sides, with this share of the traffic on the first. */
export function sameAmounts(
  sigma: number,
  share: number,
  { runs, seed }: { runs: number; seed: number },
): ErrorRow {
  const random = seededRandom(seed);
  let worse = 0;
  for (let run = 0; run < runs; run += 1) {
    const outcomes = (_arm: number, n: number): ArmCounts => counted(random, n, sigma, 1);
    const sharesOf = (): Record<string, number> => ({ v0: share, v1: 1 - share });
    const trial = { spec: SPEC, unitsPerBlock: 2000, blockMs: 1, maxUnits: 100_000, outcomes, sharesOf };
    if (runTrial(trial, random).decided?.version === 'v1') worse += 1;
  }
  const what = `same amounts, σ ${sigma}, share ${share}: "worse"`;
  return { what, wrong: worse / runs, promised: 0.05 };
}

/** Units until a version that brings a tenth more is found, at equal shares. */
export function unitsToFind(sigma: number, { runs, seed }: { runs: number; seed: number }): number {
  const random = seededRandom(seed);
  let units = 0;
  for (let run = 0; run < runs; run += 1) {
    const outcomes = (arm: number, n: number): ArmCounts => counted(random, n, sigma, arm === 0 ? 1.1 : 1);
    units += runTrial(
      { spec: SPEC, unitsPerBlock: 10_000, blockMs: 1, maxUnits: 4_000_000, outcomes },
      random,
    ).units;
  }
  return units / runs;
}
