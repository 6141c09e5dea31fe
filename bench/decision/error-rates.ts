import type { ArmCounts } from '../../src/domain/decision/block.ts';
import { ceilingEvidence } from '../../src/domain/decision/statistics/ceiling.ts';
import { nextSampleRatio, NO_SAMPLE_RATIO } from '../../src/domain/decision/statistics/sample-ratio.ts';
import { SAMPLE_RATIO_LIMIT } from '../../src/domain/decision/rule-state.ts';
import { effectGrid, type AnytimeSpec } from '../../src/domain/decision/rule-spec.ts';
import { binomial, normal, seededRandom, type Random } from '../../src/domain/decision/simulation/random.ts';
import { runTrial, successes } from '../../src/domain/decision/simulation/trial.ts';

/** How often a rule names a winner, or an alarm sounds, where nothing differs. */

export interface ErrorRow {
  readonly what: string;
  /** Share of runs with a wrong verdict; for two arms in both directions together unless `what` says otherwise. */
  readonly wrong: number;
  /** What is promised for it. */
  readonly promised: number;
}

interface Effort {
  readonly runs: number;
  readonly seed: number;
}

const HORIZON = 100_000;

function sameArms(arms: number, more: Partial<AnytimeSpec> = {}): AnytimeSpec {
  return {
    rule: 'anytime',
    arms: Array.from({ length: arms }, (_, i) => ({ version: `v${i}`, role: 'candidate' })),
    volume: 'successes',
    comparison: 'random',
    unit: 'request',
    delta: 0.05,
    epsilon: 0,
    grid: effectGrid(0, undefined),
    ...more,
  };
}

/** Without a margin two arms may each be called better: the promise is δ for either direction. */
export function looks(count: number, { runs, seed }: Effort): ErrorRow {
  const wrong = winners(sameArms(2), HORIZON / count, (random) => successes([0.1, 0.1], random), {
    runs,
    seed,
  });
  return { what: `same arms, ${count} looks`, wrong, promised: 0.1 };
}

/** The best arm ahead of all others by exactly ε: one of them chosen is as near to wrong as it gets. */
export function leastFavourable(arms: number, { runs, seed }: Effort): ErrorRow {
  const epsilon = 0.01;
  const spec = sameArms(arms, { epsilon, grid: effectGrid(epsilon, 0.1) });
  const rates = [0.11 + 1e-9, ...Array.from({ length: arms - 1 }, () => 0.1)];
  const random = seededRandom(seed);
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const outcomes = successes(rates, random);
    const { decided } = runTrial(
      { spec, unitsPerBlock: 100 * arms, blockMs: 1, maxUnits: HORIZON, outcomes },
      random,
    );
    if (decided !== null && decided.version !== 'v0') wrong += 1;
  }
  return { what: `${arms} arms, all others ε worse`, wrong: wrong / runs, promised: 0.05 };
}

/** A common rate of 10 % ± 6 points in six cycles over the trial, with shares that follow the leader or not. */
export function drift(leaderShare: number | undefined, arms: number, { runs, seed }: Effort): ErrorRow {
  const spec = sameArms(arms, leaderShare === undefined ? {} : { leaderShare });
  const rateAt = (units: number): number => 0.1 + 0.06 * Math.sin((2 * Math.PI * 6 * units) / HORIZON);
  const wrong = winners(
    spec,
    500,
    (random) => (_arm, n, before) => ({ n, sum: binomial(random, n, rateAt(before)) }),
    { runs, seed },
  );
  const shares = leaderShare === undefined ? 'equal shares' : `leader's share ${leaderShare}`;
  return { what: `same ${arms} arms, day and night, ${shares}`, wrong, promised: arms === 2 ? 0.1 : 0.05 };
}

function winners(
  spec: AnytimeSpec,
  unitsPerBlock: number,
  outcomesOf: (random: Random) => (arm: number, n: number, before: number) => ArmCounts,
  { runs, seed }: Effort,
): number {
  const random = seededRandom(seed);
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const outcomes = outcomesOf(random);
    const { decided } = runTrial({ spec, unitsPerBlock, blockMs: 1, maxUnits: HORIZON, outcomes }, random);
    if (decided !== null) wrong += 1;
  }
  return wrong / runs;
}

/** Accounts that stay with their version, and whose requests are alike: counted by request, or once by account. */
export function stickyAccounts(by: 'request' | 'account', { runs, seed }: Effort): ErrorRow {
  const accounts = 2000;
  const perAccount = 38;
  const correlation = 0.2;
  const windows = 100;
  const spec = sameArms(2, { unit: by });
  const random = seededRandom(seed);
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const members = [0, 1].map(() =>
      Array.from({ length: accounts / 2 }, () => beta(random, 0.1, (1 - correlation) / correlation)),
    );
    const perWindow = accounts / 2 / windows;
    let window = 0;
    const outcomes = (arm: number): ArmCounts => {
      if (arm === 0) window += 1;
      const mine = members[arm] ?? [];
      if (by === 'request') {
        const active = Array.from(
          { length: (accounts / 2) * (perAccount / windows) },
          () => mine[Math.floor(random() * mine.length)] ?? 0,
        );
        return { n: active.length, sum: active.filter((rate) => random() < rate).length };
      }
      // Every account once, in the window of its first request, with the share of its requests that succeeded.
      const fresh = mine.slice((window - 1) * perWindow, window * perWindow);
      const shares = fresh.map((rate) => binomial(random, 4, rate) / 4);
      return { n: fresh.length, sum: shares.reduce((sum, share) => sum + share, 0) };
    };
    const trial = { spec, unitsPerBlock: 2, blockMs: 1, maxUnits: 2 * windows, outcomes };
    const sharesOf = (): Record<string, number> => ({ v0: 0.5, v1: 0.5 });
    if (runTrial({ ...trial, sharesOf, dealt: [1, 1] }, random).decided !== null) wrong += 1;
  }
  const promised = by === 'account' ? 0.1 : Number.NaN;
  return { what: `same arms, sticky accounts, counted by ${by}`, wrong: wrong / runs, promised };
}

/** Beta(mean·size, (1−mean)·size), from two gamma numbers (Marsaglia and Tsang). */
function beta(random: Random, mean: number, size: number): number {
  const a = gamma(random, mean * size);
  return a / (a + gamma(random, (1 - mean) * size));
}

function gamma(random: Random, shape: number): number {
  if (shape < 1) return gamma(random, shape + 1) * Math.pow(1 - random(), 1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Right splits whose shares change; an alarm is wrong. */
export function sampleRatio({ runs, seed }: Effort): ErrorRow {
  const random = seededRandom(seed);
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    let state = NO_SAMPLE_RATIO;
    for (let look = 0; look < 1000 && state.lnE < SAMPLE_RATIO_LIMIT; look += 1) {
      const share = look % 3 === 0 ? 0.5 : 0.8;
      const a = binomial(random, 200, share);
      state = nextSampleRatio(state, { a, b: 200 - a }, { a: share, b: 1 - share });
    }
    if (state.lnE >= SAMPLE_RATIO_LIMIT) alarms += 1;
  }
  return { what: 'sample ratio, right split, 1,000 looks', wrong: alarms / runs, promised: 0.001 };
}

/** A healthy version exactly at its limit, looked at after every request. */
export function healthyAtLimit(limit: number, { runs, seed }: Effort): ErrorRow {
  const random = seededRandom(seed);
  const threshold = Math.log(1000);
  let pulled = 0;
  for (let run = 0; run < runs; run += 1) {
    let bad = 0;
    for (let n = 1; n <= 5000; n += 1) {
      if (random() >= limit) continue;
      bad += 1;
      // Only a failure raises the evidence.
      if (ceilingEvidence(bad, n, limit) >= threshold) {
        pulled += 1;
        break;
      }
    }
  }
  return {
    what: `guardrail, version at its limit of ${limit * 100} %`,
    wrong: pulled / runs,
    promised: 0.001,
  };
}

/** Requests until a version that fails at this rate is pulled, on average. */
export function requestsUntilPulled(rate: number, limit: number, { runs, seed }: Effort): number {
  const random = seededRandom(seed);
  let requests = 0;
  for (let run = 0; run < runs; run += 1) {
    let bad = 0;
    for (let n = 1; ; n += 1) {
      if (random() < rate) bad += 1;
      if (ceilingEvidence(bad, n, limit) >= Math.log(1000)) {
        requests += n;
        break;
      }
    }
  }
  return requests / runs;
}
